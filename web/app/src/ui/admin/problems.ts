import { heapOf } from "../../core/heaps";
import { many } from "../format";
import type { Known } from "./Health";
import { outcome } from "./words";

const most = (n: number, one: string, more: string): string => (n < 100 ? many(n, one, more) : `100 ${more} or more`);

/** problemsOf lists what an administrator should know of, a sentence each. */
export function problemsOf({ health, sync, stats, scans, found }: Known): string[] {
  const list: string[] = [];
  if (health.database.status !== "ok") list.push("The database does not answer. The server's log says why.");
  if (health.storage.status !== "ok" && health.database.status === "ok") list.push("The disk of files is full or cannot be written.");
  if (sync.status !== "ok") list.push("Edits wait for the disk, and do not get there.");
  list.push(...health.media.missing);
  if (health.media.status === "off") list.push("No pictures of files are made.");
  if (found.blocks.length > 0) list.push(`${most(found.blocks.length, "block", "blocks")} cannot be read and may not be changed. “heapsync check” says more.`);
  if (stats.storage.failed > 0) list.push(`Of ${many(stats.storage.failed, "file", "files")} no picture could be made.`);
  for (const s of scans.scans) {
    if (s.status === "needs_confirmation") list.push(`${s.path}: ${many(s.vanished, "file is", "files are")} gone. Under Scans you say whether their blocks go into the trash.`);
  }
  const seen = new Set<string>();
  for (const s of scans.recent.toReversed()) {
    const folder = `${s.heap_id} ${s.path}`;
    if (seen.has(folder)) continue; // a later scan says how it is now
    seen.add(folder);
    if (s.status === "failed" || s.status === "offline") list.push(`Scan of ${s.path} into ${heapOf(s.heap_id)?.name ?? s.heap_id}: ${outcome(s)}`);
    else if (s.errors > 0) list.push(`Scan of ${s.path}: ${many(s.errors, "file or folder", "files or folders")} could not be read.`);
  }
  if (stats.scans.polling > 0) list.push(`${many(stats.scans.polling, "folder is", "folders are")} looked at every few minutes only: the system cannot watch all of what is in there.`);
  return list;
}
