import { Globe } from "lucide";
import type { Block } from "../core/heaps";
import { Dialog } from "./Dialog";
import { Picker } from "./Picker";

interface Props {
  heap: string;
  from: string;
  linked: boolean; // there is a link already
  choose: (block: Block) => void;
  address: (address: string) => void;
  remove: () => void;
  close: () => void;
}

/** LinkDialog asks where a link is to lead to: a block, or an address of the web. */
export function LinkDialog({ heap, from, linked, choose, address, remove, close }: Props) {
  const also = (text: string) => {
    const url = addressIn(text);
    return url ? { icon: Globe, name: url, choose: () => address(url) } : undefined;
  };
  return (
    <Dialog title="Link" close={close}>
      <Picker heap={heap} label="To which block, or to which address?" first={{}} without={from} also={also} choose={choose} />
      {linked && <button onClick={remove}>Remove the link</button>}
    </Dialog>
  );
}

/** addressIn is the address that somebody has typed, also without its beginning. */
function addressIn(text: string): string | undefined {
  if (/^(https?:\/\/|mailto:)\S+$/i.test(text)) return text;
  if (/^[^\s@/]+@[^\s@/]+\.[a-z]{2,}$/i.test(text)) return `mailto:${text}`;
  return /^[^\s/:?#@.]+(\.[^\s/:?#@.]+)*\.[a-z]{2,}([/?#:]\S*)?$/i.test(text) ? `https://${text}` : undefined;
}
