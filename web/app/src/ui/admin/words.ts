import { bytes, many } from "../format";
import type { Plan, Scan } from "../../core/scans";

const files = (n: number): string => many(n, "file", "files");

const counted = (pairs: [number, string][]): string => pairs.filter(([n]) => n > 0).map(([n, what]) => `${n.toLocaleString()} ${what}`).join(", ");

/** progress says how far a scan is. */
export function progress(s: Scan): string {
  if (s.status === "queued") return "It waits for its turn.";
  return [`${s.done.toLocaleString()} of ${files(s.found)}`, `${bytes(s.bytes)} read`, counted([[s.errors, "not readable"]])].filter(Boolean).join(", ");
}

/** outcome says how a scan ended. */
export function outcome(s: Scan): string {
  switch (s.status) {
    case "failed":
      return `It failed: ${s.error || "the log of the server says why"}`;
    case "aborted":
      return `Stopped after ${s.done.toLocaleString()} of ${files(s.found)}; what was made stays.`;
    case "offline":
      return `The folder could not be reached; ${many(s.offline, "file is", "files are")} offline.`;
  }
  const did = counted([[s.new, "new"], [s.changed, "changed"], [s.moved, "moved"], [s.vanished, "gone"], [s.waiting, "still being written"], [s.errors, "not readable"], [s.skipped, "left out"]]);
  return `${files(s.found)}: ${did || "nothing new"}`;
}

/** would says what a scan would do. */
export function would(p: Plan): string {
  const all = counted([[p.new, "new"], [p.changed, "changed"], [p.moved, "moved"], [p.unchanged, "as they were"], [p.errors, "not readable"]]);
  return `${files(p.found)}${all ? `: ${all}` : ""}. ${bytes(p.bytes)} would be read.`;
}
