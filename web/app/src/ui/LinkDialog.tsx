import type { Block } from "../core/heaps";
import { Dialog } from "./Dialog";
import { Picker } from "./Picker";

/** LinkDialog asks for the block that a link is to lead to. */
export function LinkDialog({ heap, from, choose, close }: { heap: string; from: string; choose: (block: Block) => void; close: () => void }) {
  return (
    <Dialog title="Link to a block" close={close}>
      <Picker heap={heap} label="Which one?" first={{}} without={from} choose={choose} />
    </Dialog>
  );
}
