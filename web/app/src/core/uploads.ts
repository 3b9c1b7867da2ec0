// Files on their way to the server. They are kept in this browser until they are there, so
// a reload, a closed lid or a tunnel only makes them wait.

import { signal, type Signal } from "@preact/signals";
import * as api from "./api";
import { newID } from "./bytes";
import { done, remove, save, transaction } from "./db";
import { reach } from "./heaps";
import { online } from "./session";

export type Stage = "waiting" | "hashing" | "sending" | "paused" | "failed" | "done";

/** Stored is an upload on this browser's disk. */
interface Stored {
  heap: string;
  id: string; // of the block
  file: File;
  at: number;
  hash?: string;
  paused?: boolean;
}

export interface Upload {
  heap: string;
  id: string;
  name: string;
  size: number;
  stage: Signal<Stage>;
  sent: Signal<number>; // bytes; while it is hashed, those that are
  reason: Signal<string>; // why it failed
}

interface Status {
  status: "new" | "resumed" | "complete";
  chunk_size: number;
  total_chunks: number;
  received: [number, number][];
}

export const uploads = signal<Upload[]>([]);

const stored = new Map<string, Stored>();
const stops = new Map<string, AbortController>();

/** How many files, and chunks of a file, are sent at once. */
const files = 2;
const chunks = 3;

/** add begins uploads of files, each to a block of its own, whose ids it returns. */
export async function add(heap: string, list: File[], parent?: string): Promise<string[]> {
  const ids: string[] = [];
  for (const file of list) {
    const id = parent ? await below(heap, parent, file) : newID();
    const it: Stored = { heap, id, file, at: Date.now() };
    await save("uploads", it);
    show(it, "waiting");
    ids.push(it.id);
  }
  next();
  return ids;
}

/** below makes the block of a file that has a parent; of others the server makes it. */
async function below(heap: string, parent: string, file: File): Promise<string> {
  const [{ begin }, { pushSoon }] = await Promise.all([import("../editor/begin"), import("./outbox")]);
  const id = await begin(heap, { type: "file", title: file.name, parent });
  pushSoon(heap, id);
  return id;
}

/** localFile is the file of a block while it is on its way. */
export const localFile = (id: string): File | undefined => stored.get(id)?.file;

function show(it: Stored, stage: Stage): void {
  stored.set(it.id, it);
  uploads.value = [
    ...uploads.value.filter((u) => u.id !== it.id),
    { heap: it.heap, id: it.id, name: it.file.name, size: it.file.size, stage: signal(stage), sent: signal(0), reason: signal("") },
  ];
}

/** resume goes on with what a former visit left. */
export async function resume(): Promise<void> {
  const all = await transaction(["uploads"], "readonly", (at) => done(at("uploads").getAll() as IDBRequest<Stored[]>));
  for (const it of all.sort((a, b) => a.at - b.at)) {
    if (!stored.has(it.id)) show(it, it.paused ? "paused" : "waiting");
  }
  next();
  addEventListener("online", retryAll);
  let before = online.value;
  online.subscribe((now) => {
    if (now && !before) retryAll();
    before = now;
  });
}

function retryAll(): void {
  for (const u of uploads.value) if (u.stage.value === "failed") u.stage.value = "waiting";
  next();
}

export function pause(upload: Upload): void {
  stops.get(upload.id)?.abort();
  upload.stage.value = "paused";
  void keep(upload.id, { paused: true });
}

export function retry(upload: Upload): void {
  upload.stage.value = "waiting";
  upload.reason.value = "";
  void keep(upload.id, { paused: false });
  next();
}

/** cancel forgets an upload; the server forgets what it has of it after some days. */
export function cancel(upload: Upload): void {
  stops.get(upload.id)?.abort();
  const it = stored.get(upload.id);
  stored.delete(upload.id);
  uploads.value = uploads.value.filter((u) => u !== upload);
  if (it) void remove("uploads", [it.heap, it.id]);
}

async function keep(id: string, change: Partial<Stored>): Promise<void> {
  const it = stored.get(id);
  if (it) await save("uploads", Object.assign(it, change));
}

function next(): void {
  let busy = uploads.value.filter((u) => u.stage.value === "hashing" || u.stage.value === "sending").length;
  for (const u of uploads.value) {
    if (busy >= files) return;
    if (u.stage.value !== "waiting") continue;
    busy++;
    void run(u);
  }
}

async function run(upload: Upload): Promise<void> {
  const it = stored.get(upload.id)!;
  const stop = new AbortController();
  stops.set(upload.id, stop);
  upload.stage.value = "hashing";
  try {
    if (!it.hash) await keep(it.id, { hash: await hashOf(it.file, stop.signal, (n) => (upload.sent.value = n)) });
    upload.stage.value = "sending";
    await send(it, upload, stop.signal);
    upload.stage.value = "done";
    stored.delete(it.id);
    await remove("uploads", [it.heap, it.id]);
    setTimeout(() => (uploads.value = uploads.value.filter((u) => u !== upload)), 4_000);
  } catch (err) {
    if (!stop.signal.aborted) {
      upload.stage.value = "failed";
      upload.reason.value = err instanceof Error ? err.message : String(err);
    }
  } finally {
    stops.delete(upload.id);
    next();
  }
}

function hashOf(file: File, stop: AbortSignal, progress: (done: number) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./hash.worker.ts", import.meta.url), { type: "module" });
    const end = (what: () => void): void => {
      worker.terminate();
      what();
    };
    stop.addEventListener("abort", () => end(() => reject(new Error("stopped"))), { once: true });
    worker.onerror = () => end(() => reject(new Error("The file could not be read.")));
    worker.onmessage = ({ data }: MessageEvent<{ done?: number; hash?: string; error?: string }>) => {
      if (data.done !== undefined) progress(data.done);
      else if (data.hash) end(() => resolve(data.hash!));
      else end(() => reject(new Error(data.error ?? "The file could not be read.")));
    };
    worker.postMessage(file);
  });
}

async function send(it: Stored, upload: Upload, signal: AbortSignal): Promise<void> {
  const e = encodeURIComponent;
  const { file, hash } = it;
  const wanted = Math.min(Math.max(Math.ceil(file.size / 64), 256 << 10), 8 << 20);
  const status = await reach(() =>
    api.post<Status>(`/api/upload/init/${e(it.heap)}/${e(it.id)}`, { hash, size: file.size, name: file.name, mime: file.type || undefined, chunk_size: wanted }, { signal }),
  );
  if (status.status === "complete") return;
  const there = new Set<number>();
  for (const [from, to] of status.received) for (let n = from; n <= to; n++) there.add(n);
  const sizeOf = (n: number): number => Math.min(status.chunk_size, file.size - n * status.chunk_size);
  upload.sent.value = [...there].reduce((sum, n) => sum + sizeOf(n), 0);
  const missing = Array.from({ length: status.total_chunks }, (_, n) => n).filter((n) => !there.has(n));
  const path = `${e(it.heap)}/${e(it.id)}/${hash}`;
  const worker = async (): Promise<void> => {
    for (let n = missing.shift(); n !== undefined; n = missing.shift()) {
      const from = n * status.chunk_size;
      const answer = await reach(() => api.send("PUT", `/api/upload/chunk/${path}/${n}`, file.slice(from, from + sizeOf(n!)), { signal }));
      if (!answer.ok) throw await api.problemOf(answer);
      upload.sent.value += sizeOf(n);
    }
  };
  await Promise.all(Array.from({ length: chunks }, worker));
  await reach(() => api.post(`/api/upload/complete/${path}`, {}, { signal }));
}
