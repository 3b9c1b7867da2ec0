import { useState } from "preact/hooks";
import { Plus } from "lucide";
import { addHeap } from "../core/heaps";
import { go, heapPath } from "../core/router";
import { Icon } from "./Icon";
import { attempt } from "./Toasts";

/** NewHeap makes a heap, and goes there. */
export function NewHeap() {
  const [name, setName] = useState<string>();
  if (name === undefined) return <button class="plain" onClick={() => setName("")}><Icon of={Plus} />New heap</button>;
  const submit = async (e: Event) => {
    e.preventDefault();
    const heap = await attempt(() => addHeap(name.trim() || "Notes"));
    if (!heap) return;
    setName(undefined);
    go(heapPath(heap.id));
  };
  return (
    <form class="new-heap" onSubmit={submit}>
      <label>
        Name of the heap
        <input autoFocus ref={(el) => el?.focus()} name="heap" value={name} maxLength={200} onInput={(e) => setName(e.currentTarget.value)} onKeyDown={(e) => e.key === "Escape" && setName(undefined)} />
      </label>
      <button class="main">Create</button>
      <button type="button" onClick={() => setName(undefined)}>Cancel</button>
    </form>
  );
}
