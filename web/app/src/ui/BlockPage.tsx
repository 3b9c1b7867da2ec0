import { call } from "../core/api";
import { heapOf, mayEdit, reach } from "../core/heaps";
import { blockPath, go, heapPath } from "../core/router";
import { BlockEditor } from "../editor/BlockEditor";
import { attempt, toast } from "./Toasts";

/** BlockPage is a note with what can be done to it. */
export function BlockPage({ heap, block }: { heap: string; block: string }) {
  const trash = () =>
    attempt(async () => {
      await reach(() => call("DELETE", `/api/block/${encodeURIComponent(block)}?heap_id=${encodeURIComponent(heap)}`));
      toast("The note is in the trash.");
      go(heapPath(heap));
    });
  return (
    <>
      <div class="crumbs">
        <a href={heapPath(heap)}>‹ {heapOf(heap)?.name ?? "Heap"}</a>
        <span class="actions">
          <a class="button plain" href={blockPath(heap, block, "history")}>History</a>
          {mayEdit(heapOf(heap)) && <button class="plain" onClick={() => void trash()}>Put into the trash</button>}
        </span>
      </div>
      <BlockEditor heap={heap} block={block} />
    </>
  );
}
