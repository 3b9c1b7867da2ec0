// Scans: folders of the server whose files become blocks, and stay where they are.

import { get, post } from "./api";
import { reach } from "./heaps";

export interface Scan {
  scan_id: string;
  heap_id: string;
  path: string;
  status: "queued" | "running" | "done" | "aborted" | "failed" | "offline" | "needs_confirmation";
  found: number; // files
  done: number; // of these
  bytes: number; // that were read
  errors: number;
  skipped: number;
  new: number;
  changed: number;
  moved: number;
  vanished: number;
  offline: number;
  waiting: number; // files that were just being written
  started_at: number;
  ended_at: number | null;
  error?: string;
}

export interface ScanFolder {
  heap_id: string;
  path: string;
  recursive: boolean;
  watch: "events" | "polling" | "off";
  last_at: number | null;
}

export interface Scans {
  scans: Scan[]; // that are not over
  recent: Scan[]; // that are, the last one last
  folders: ScanFolder[];
}

export interface ScanRequest {
  heap_id: string;
  path: string;
  recursive: boolean;
  watch: boolean;
}

/** Plan is what a scan would do. */
export interface Plan {
  found: number;
  bytes: number;
  new: number;
  changed: number;
  moved: number;
  unchanged: number;
  vanished: number;
  errors: number;
  files: { path: string; action: string }[];
}

export const scansNow = (): Promise<Scans> => reach(() => get<Scans>("/api/active_scans"));

export const planScan = async (what: ScanRequest): Promise<Plan> =>
  (await reach(() => post<{ would: Plan }>("/api/scan_folder", { ...what, dry_run: true }))).would;

/** beginScan starts a scan; confirm puts the blocks of files that are gone into the trash, however many. */
export const beginScan = (what: ScanRequest, confirm = false): Promise<unknown> => reach(() => post("/api/scan_folder", { ...what, confirm }));

export const abortScan = (id: string): Promise<unknown> => reach(() => post("/api/abort_scan", { scan_id: id }));

/** lastOf is the last scan of a folder that is known. */
export const lastOf = (all: Scans, folder: ScanFolder): Scan | undefined =>
  [...all.recent, ...all.scans].findLast((s) => s.heap_id === folder.heap_id && s.path === folder.path);
