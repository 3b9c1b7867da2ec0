import { Pencil, X } from "lucide";
import { deleteHeap, renameHeap, type Heap } from "../core/heaps";
import { go } from "../core/router";
import { Icon } from "./Icon";
import { attempt } from "./Toasts";

/** HeapMenu is what the owner of a heap can do with it. */
export function HeapMenu({ heap }: { heap: Heap }) {
  const rename = () => {
    const name = prompt("A new name for the heap", heap.name);
    if (name?.trim()) void attempt(() => renameHeap(heap.id, name.trim()));
  };
  const remove = () => {
    if (!confirm(`“${heap.name}” disappears for all its members, and is gone for good in seven days. Delete it?`)) return;
    void attempt(async () => {
      await deleteHeap(heap.id);
      go("/");
    });
  };
  return (
    <>
      <button class="plain" onClick={rename}><Icon of={Pencil} />Rename</button>
      <button class="plain danger" onClick={remove}><Icon of={X} />Delete</button>
    </>
  );
}
