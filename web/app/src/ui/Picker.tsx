import { useEffect, useId, useState } from "preact/hooks";
import { FileText, Folder, type IconNode } from "lucide";
import { list, type Block, type Query } from "../core/heaps";
import { Icon } from "./Icon";
import { signOf } from "./Picture";
import { nameOf } from "./Rows";
import { words } from "./Toasts";
import { useChanges } from "./useListing";

interface Props {
  heap: string;
  label: string;
  /** What is offered while nothing is typed. */
  first: Query;
  without?: string; // a block that is not offered
  /** What else could be meant by the words, offered before the blocks. */
  also?: (text: string) => Also | undefined;
  choose: (block: Block) => void;
}

export interface Also {
  icon: IconNode;
  name: string;
  choose: () => void;
}

const most = 20;

/** Picker finds one block by its words. */
export function Picker({ heap, label, first, without, also, choose }: Props) {
  const [text, setText] = useState("");
  const [found, setFound] = useState<Block[]>([]);
  const [at, setAt] = useState(0);
  const [wrong, setWrong] = useState("");
  const id = useId();
  const changes = useChanges(heap);
  const more = also?.(text.trim());
  const options: (Also & { key: string })[] = found.map((block) => ({
    key: block.block_id, name: nameOf(block), choose: () => choose(block),
    icon: block.type === "folder" ? Folder : block.file ? signOf(block.file.mime) : FileText,
  }));
  if (more) options.unshift({ key: "also", ...more });
  useEffect(() => setAt(0), [text]);
  useEffect(() => {
    let here = true;
    const timer = setTimeout(() => {
      list(heap, text.trim() ? { query: text.trim() } : first, null, most + 1).then(
        ({ blocks }) => {
          if (!here) return;
          setFound(blocks.filter((b) => b.block_id !== without).slice(0, most));
          setWrong("");
        },
        (err: unknown) => here && setWrong(words(err)),
      );
    }, text ? 120 : 0);
    return () => {
      here = false;
      clearTimeout(timer);
    };
  }, [heap, text, changes]);
  const key = (e: KeyboardEvent) => {
    if (e.key === "ArrowDown") setAt((n) => Math.min(n + 1, options.length - 1));
    else if (e.key === "ArrowUp") setAt((n) => Math.max(n - 1, 0));
    else if (e.key === "Enter" && options[at]) options[at].choose();
    else return;
    e.preventDefault();
  };
  return (
    <div class="picker">
      <label>
        {label}
        <input
          type="text" role="combobox" aria-expanded={options.length > 0} aria-controls={id} aria-autocomplete="list" autoComplete="off" autoFocus
          aria-activedescendant={options[at] ? `${id}-${at}` : undefined} value={text} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={key}
        />
      </label>
      {wrong && <p class="error" role="alert">{wrong}</p>}
      <ul id={id} role="listbox" aria-label="Blocks">
        {options.map((option, i) => (
          <li key={option.key} id={`${id}-${i}`} role="option" aria-selected={i === at} onClick={option.choose}>
            <Icon of={option.icon} />{option.name}
          </li>
        ))}
      </ul>
      {options.length === 0 && text.trim() && <p class="quiet">Nothing found.</p>}
    </div>
  );
}
