import { useState } from "preact/hooks";
import { FolderInput, History, Pencil, Trash2 } from "lucide";
import { call } from "../core/api";
import { heapOf, mayEdit, reach, remember, type Block } from "../core/heaps";
import { blockPath, go, heapPath } from "../core/router";
import { edit } from "../core/edit";
import { Icon } from "./Icon";
import { MoveDialog } from "./MoveDialog";
import { attempt, toast } from "./Toasts";

/** BlockMenu is what can be done to a block as a whole. */
export function BlockMenu({ heap, block }: { heap: string; block: Block }) {
  const [moving, setMoving] = useState(false);
  const trash = () =>
    attempt(async () => {
      await reach(() => call("DELETE", `/api/block/${encodeURIComponent(block.block_id)}?heap_id=${encodeURIComponent(heap)}`));
      toast(block.type === "folder" ? "The folder is in the trash. What was in it is still in the heap." : "The note is in the trash.");
      go(heapPath(heap));
    });
  const rename = () =>
    attempt(async () => {
      const title = prompt("A new name for the folder", block.title)?.trim();
      if (!title) return;
      await edit(heap, block.block_id, (about) => about.set("title", title));
      await remember(heap, [{ ...block, title }]);
      go(blockPath(heap, block.block_id));
    });
  return (
    <>
      {block.type !== "folder" && <a class="button plain" href={blockPath(heap, block.block_id, "history")}><Icon of={History} />History</a>}
      {mayEdit(heapOf(heap)) && (
        <>
          {block.type === "folder" && <button class="plain" onClick={() => void rename()}><Icon of={Pencil} />Rename</button>}
          <button class="plain" onClick={() => setMoving(true)}><Icon of={FolderInput} />Move to…</button>
          <button class="plain" onClick={() => void trash()}><Icon of={Trash2} />Put into the trash</button>
        </>
      )}
      {moving && <MoveDialog heap={heap} block={block} close={() => setMoving(false)} />}
    </>
  );
}
