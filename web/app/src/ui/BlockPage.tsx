import { heapOf } from "../core/heaps";
import { heapPath } from "../core/router";
import { BlockEditor } from "../editor/BlockEditor";

export function BlockPage({ heap, block }: { heap: string; block: string }) {
  return (
    <>
      <p class="crumbs"><a href={heapPath(heap)}>‹ {heapOf(heap)?.name ?? "Heap"}</a></p>
      <BlockEditor heap={heap} block={block} />
    </>
  );
}
