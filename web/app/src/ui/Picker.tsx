import { useEffect, useId, useState } from "preact/hooks";
import { list, type Block, type Query } from "../core/heaps";
import { nameOf } from "./Rows";
import { words } from "./Toasts";
import { useChanges } from "./useListing";

interface Props {
  heap: string;
  label: string;
  /** What is offered while nothing is typed. */
  first: Query;
  without?: string; // a block that is not offered
  choose: (block: Block) => void;
}

const most = 20;

/** Picker finds one block by its words. */
export function Picker({ heap, label, first, without, choose }: Props) {
  const [text, setText] = useState("");
  const [found, setFound] = useState<Block[]>([]);
  const [at, setAt] = useState(0);
  const [wrong, setWrong] = useState("");
  const id = useId();
  const changes = useChanges(heap);
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
    if (e.key === "ArrowDown") setAt((n) => Math.min(n + 1, found.length - 1));
    else if (e.key === "ArrowUp") setAt((n) => Math.max(n - 1, 0));
    else if (e.key === "Enter" && found[at]) choose(found[at]);
    else return;
    e.preventDefault();
  };
  return (
    <div class="picker">
      <label>
        {label}
        <input
          type="text" role="combobox" aria-expanded={found.length > 0} aria-controls={id} aria-autocomplete="list" autoComplete="off" autoFocus
          aria-activedescendant={found[at] ? `${id}-${at}` : undefined} value={text} onInput={(e) => setText(e.currentTarget.value)} onKeyDown={key}
        />
      </label>
      {wrong && <p class="error" role="alert">{wrong}</p>}
      <ul id={id} role="listbox" aria-label="Blocks">
        {found.map((block, i) => (
          <li key={block.block_id} id={`${id}-${i}`} role="option" aria-selected={i === at} onClick={() => choose(block)}>
            <span aria-hidden="true">{block.type === "folder" ? "📁" : block.file ? "📎" : "📄"}</span> {nameOf(block)}
          </li>
        ))}
      </ul>
      {found.length === 0 && text.trim() && <p class="quiet">Nothing found.</p>}
    </div>
  );
}
