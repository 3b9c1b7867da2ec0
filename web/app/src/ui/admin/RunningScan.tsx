import { heapOf } from "../../core/heaps";
import type { Scan } from "../../core/scans";
import { many } from "../format";
import { progress } from "./words";

/** RunningScan is a scan that goes on, or waits until somebody says that files may be gone. */
export function RunningScan({ scan: s, abort, confirm }: { scan: Scan; abort: () => void; confirm: () => void }) {
  const heap = heapOf(s.heap_id)?.name ?? s.heap_id;
  if (s.status === "needs_confirmation") {
    return (
      <li class="scan">
        <p class="notice">
          <strong class="path-name">{s.path}</strong>: {many(s.vanished, "file that was there is", "files that were there are")} gone, more than one in twenty.
          Is the right disk mounted? Nothing of them was changed in {heap}.
        </p>
        <div class="actions">
          <button class="danger" onClick={confirm}>Put {many(s.vanished, "block", "blocks")} into the trash</button>
          <button onClick={abort}>Leave them</button>
        </div>
      </li>
    );
  }
  const running = s.status === "running" && s.found > 0;
  return (
    <li class="scan">
      <span class="member-name"><strong class="path-name">{s.path}</strong> into {heap}</span>
      <button class="danger" onClick={abort} aria-label={`Stop the scan of ${s.path}`}>Stop</button>
      <progress aria-label={`Scan of ${s.path}`} {...(running ? { max: s.found, value: Math.min(s.found, s.done + s.errors + s.waiting) } : {})} />
      <span class="quiet">{progress(s)}</span>
    </li>
  );
}
