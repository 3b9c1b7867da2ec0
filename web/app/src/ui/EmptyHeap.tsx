import { useState } from "preact/hooks";
import { zip } from "../core/zip";
import { takeIn } from "./ArchiveMenu";

/** EmptyHeap helps somebody begin. */
export function EmptyHeap({ heap }: { heap: string }) {
  const [busy, setBusy] = useState(false);
  const take = async (which: "welcome" | "demo") => {
    setBusy(true);
    await takeIn(heap, zip((await import("./demo"))[which]));
    setBusy(false);
  };
  return (
    <div class="empty">
      <p>Nothing here yet. Make a note, drop files here, or begin with something:</p>
      <div class="actions">
        <button disabled={busy} onClick={() => void take("welcome")}>A welcome note</button>
        <button disabled={busy} onClick={() => void take("demo")}>Import a demo</button>
      </div>
    </div>
  );
}
