import { edit } from "../core/edit";
import { post } from "../core/api";
import { reach, remember, type Block } from "../core/heaps";
import { Dialog } from "./Dialog";
import { Picker } from "./Picker";
import { nameOf } from "./Rows";
import { attempt, toast } from "./Toasts";

/** deepest is how many parents are looked at; no tree that people make is deeper. */
const deepest = 100;

/** isBelow says whether a block lies below another, or is it. */
async function isBelow(heap: string, block: Block, other: string): Promise<boolean> {
  let at: string | null = block.block_id;
  for (let depth = 0; at && depth < deepest; depth++) {
    if (at === other) return true;
    const id: string = at;
    at = id === block.block_id ? block.parent : (await reach(() => post<{ block: Block }>(`/api/block/${encodeURIComponent(id)}`, { heap_id: heap }))).block.parent;
  }
  return false;
}

/** MoveDialog gives a block another parent. */
export function MoveDialog({ heap, block, close }: { heap: string; block: Block; close: () => void }) {
  const move = (to: Block | undefined) =>
    attempt(async () => {
      if (to && (await isBelow(heap, to, block.block_id))) return toast(`“${nameOf(to)}” lies in “${nameOf(block)}” itself.`, "error");
      await edit(heap, block.block_id, (about) => {
        if (to) about.set("parent", to.block_id);
        else about.delete("parent");
      });
      await remember(heap, [{ ...block, parent: to?.block_id ?? null }]);
      toast(to ? `Moved to “${nameOf(to)}”.` : "Moved out of its folder.");
      close();
    });
  return (
    <Dialog title={`Move “${nameOf(block)}”`} close={close}>
      <Picker heap={heap} label="Into which folder or note?" first={{ type: "folder", sort: "title" }} without={block.block_id} choose={(to) => void move(to)} />
      {block.parent && <button onClick={() => void move(undefined)}>Out of all folders</button>}
    </Dialog>
  );
}
