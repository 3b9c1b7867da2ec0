// What only administrators are told.

import { call, get, Problem } from "./api";
import { reach } from "./heaps";

export interface User {
  id: string;
  public_key: string;
  email: string;
  name: string;
  status: "pending" | "active" | "blocked";
  is_admin: boolean;
  created_at: number;
  last_seen_at: number | null;
  usage: { storage_bytes: number; files: number; blocks: number; heaps: number; updates_bytes: number };
}

export interface Page {
  users: User[];
  next_cursor: string | null;
}

export const usersAfter = (cursor: string | null): Promise<Page> =>
  reach(() => get<Page>(`/api/admin/users?limit=200${cursor ? "&cursor=" + encodeURIComponent(cursor) : ""}`));

/** nameOf is how an account is called. */
export const nameOf = (u: User): string => u.name || u.email || `${u.public_key.slice(0, 12)}…`;

export interface Device {
  id: string;
  device_name: string;
  last_seen_at: number;
  ip: string;
  current: boolean;
}

const devicesPath = (user: User): string => `/api/admin/users/${encodeURIComponent(user.id)}/sessions`;

/** devicesOf are those that an account is signed in on. */
export const devicesOf = async (user: User): Promise<Device[]> => (await reach(() => get<{ sessions: Device[] }>(devicesPath(user)))).sessions;

export const endDevice = (user: User, id: string): Promise<unknown> => reach(() => call("DELETE", `${devicesPath(user)}/${encodeURIComponent(id)}`));

export interface Problems {
  blocks: { heap_id: string; block_id: string; reason: string }[];
  pictures: { heap_id: string; block_id: string; name: string; hash: string; code: string; reason: string; at: number }[];
}

export const problems = (): Promise<Problems> => reach(() => get<Problems>("/api/admin/problems"));

export interface Stats {
  version: string;
  uptime: number; // seconds
  users: Record<"total" | "pending" | "active" | "blocked" | "admins", number>;
  sessions: number;
  connections: number;
  rooms: number;
  commit_queue: number;
  commit_p99_ms: number;
  storage: { files: number; files_bytes: number; derived: number; derived_bytes: number; pending: number; failed: number };
  scans: { folders: number; polling: number };
}

export const stats = (): Promise<Stats> => reach(() => get<Stats>("/api/admin/stats"));

export interface Health {
  server: { status: string };
  database: { status: string; latency_ms: number };
  storage: { status: string };
  media: { status: string; formats: string[]; missing: string[] };
}

export interface SyncHealth {
  status: string;
  pending_commits: number;
}

/** health says how the parts of the server do, also if one is down. */
export const health = (): Promise<Health> => told<Health>("/api/health");
export const syncHealth = (): Promise<SyncHealth> => told<SyncHealth>("/sync/health");

async function told<T>(path: string): Promise<T> {
  try {
    return await reach(() => get<T>(path));
  } catch (err) {
    if (err instanceof Problem && err.status === 503 && err.code === "unknown") return err.body as T;
    throw err;
  }
}
