import { useEffect } from "preact/hooks";
import { online } from "../core/session";
import { count, waiting } from "../core/waiting";

let watching = false;

/** Waiting says how much the server does not have yet. */
export function Waiting() {
  useEffect(() => {
    if (watching) return;
    watching = true;
    void count();
    void import("../core/outbox").then(({ watch }) => watch());
  }, []);
  const n = waiting.value;
  if (online.value && n === 0) return null;
  const changes = n === 0 ? "nothing waits" : n === 1 ? "1 change waiting" : `${n} changes waiting`;
  // While the server is there, edits wait for an instant each: that is no news.
  return <span class={`waiting ${n > 0 ? "warn" : ""} ${online.value ? "late" : ""}`} role="status">{online.value ? changes : `Offline, ${changes}`}</span>;
}
