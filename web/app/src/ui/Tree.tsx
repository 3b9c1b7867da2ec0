import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { ChevronDown, ChevronRight } from "lucide";
import { list, type Block, type Query } from "../core/heaps";
import { blockPath, go } from "../core/router";
import { Icon } from "./Icon";
import { nameOf } from "./Rows";
import { words } from "./Toasts";
import { useChanges } from "./useListing";
import { drawn, useKeptFocus, useWindow } from "./useWindow";

interface Branch {
  blocks: Block[];
  more: boolean;
}

/** How many blocks of a branch are asked for at first, and twice as many whenever the last ones show. */
const step = 500;

/** The height of a line, as shell.css has it. */
const height = 32;

/** first reads so many blocks of a list. */
async function first(heap: string, query: Query, most: number): Promise<Branch> {
  const blocks: Block[] = [];
  for (let cursor: string | null = null; ; ) {
    const page = await list(heap, query, cursor, Math.min(most - blocks.length, 1000));
    blocks.push(...page.blocks);
    cursor = page.next_cursor;
    if (!cursor || blocks.length >= most) return { blocks, more: cursor !== null };
  }
}

/** branchOf reads what lies in a block. At the root of a heap, where most blocks lie, only folders and what has children are shown. */
async function branchOf(heap: string, parent: string, most: number): Promise<Branch> {
  const [folders, others] = await Promise.all([
    first(heap, { parent, type: "folder", sort: "title" }, most),
    first(heap, parent ? { parent, sort: "title" } : { parent }, parent ? most : 200),
  ]);
  const rest = others.blocks.filter((b) => b.type !== "folder" && (parent || b.children > 0));
  return { blocks: [...folders.blocks, ...rest], more: folders.more || (parent !== "" && others.more) };
}

interface Line {
  level: number;
  parent: string;
  at: number;
  of: number;
  block?: Block; // none: a button for more
}

/** Tree shows how the blocks of a heap lie in each other. What is in a block is asked for when it is opened. */
export function Tree({ heap, current }: { heap: string; current: string }) {
  const [branches, setBranches] = useState<Map<string, Branch>>(new Map());
  const [open, setOpen] = useState<Map<string, number>>(new Map([["", step]])); // and how many are shown
  const [wrong, setWrong] = useState("");
  const [focus, setFocus] = useState({ key: "", at: 0 });
  const box = useRef<HTMLUListElement>(null);
  const changes = useChanges(heap);

  useEffect(() => {
    let here = true;
    for (const [parent, most] of open) {
      branchOf(heap, parent, most).then(
        (branch) => here && setBranches((all) => new Map(all).set(parent, branch)),
        (err: unknown) => here && setWrong(words(err)),
      );
    }
    return () => void (here = false);
  }, [heap, changes, open]);

  const lines: Line[] = [];
  const walk = (parent: string, level: number, above: string[]) => {
    const branch = branches.get(parent);
    branch?.blocks.forEach((block, at) => {
      const id = block.block_id;
      lines.push({ level, parent, at, of: branch.blocks.length, block });
      if (open.has(id) && !above.includes(id)) walk(id, level + 1, [...above, id]); // documents may say that two lie in each other
    });
    if (branch?.more) lines.push({ level, parent, at: branch.blocks.length, of: branch.blocks.length + 1 });
  };
  walk("", 1, []);
  const seen = useWindow(box, ".menu", lines.length, height);
  const unread = lines[seen.last]?.block ? undefined : lines[seen.last]?.parent;
  const more = (parent: string) => setOpen((open) => new Map(open).set(parent, 2 * (open.get(parent) ?? step)));
  useEffect(() => {
    if (unread !== undefined) more(unread);
  }, [unread, branches]);
  useKeptFocus(box, () => box.current?.querySelector<HTMLElement>('[tabindex="0"]'));
  // A line that keys go to may have to be drawn before it can have the focus.
  const [goal, setGoal] = useState("");
  useLayoutEffect(() => {
    if (!goal) return;
    box.current?.querySelector<HTMLElement>('[role="treeitem"][tabindex="0"]')?.focus();
    setGoal("");
  }, [goal]);
  if (wrong) return <p class="quiet tree-note">{wrong}</p>;
  if (lines.length === 0) return null;

  const keyOf = (line: Line): string => line.block?.block_id ?? `more ${line.parent} ${line.at}`;
  // Tab comes to the line that had the focus last, or to what is in its place, or to the block that is open.
  const stop = lines.some((l) => keyOf(l) === focus.key) ? focus.key
    : !focus.key && lines.some((l) => keyOf(l) === current) ? current
    : keyOf(lines[Math.min(focus.at, lines.length - 1)]!);
  const opens = (b: Block): boolean => b.type === "folder" || b.children > 0;
  const toggle = (id: string, on: boolean) => {
    const next = new Map(open);
    if (on) next.set(id, step);
    else next.delete(id);
    setOpen(next);
  };
  const enter = (line: Line) => {
    if (line.block) go(blockPath(heap, line.block.block_id));
    else more(line.parent);
  };
  const to = (i: number) => {
    const at = Math.max(0, Math.min(i, lines.length - 1));
    setFocus({ key: keyOf(lines[at]!), at });
    setGoal(keyOf(lines[at]!));
  };
  const key = (e: KeyboardEvent, i: number) => {
    const { block, level, parent } = lines[i]!;
    const isOpen = block && open.has(block.block_id);
    switch (e.key) {
      case "ArrowDown": to(i + 1); break;
      case "ArrowUp": to(i - 1); break;
      case "Home": to(0); break;
      case "End": to(lines.length - 1); break;
      case "ArrowRight":
        if (block && isOpen && lines[i + 1]?.level === level + 1) to(i + 1);
        else if (block && !isOpen && opens(block)) toggle(block.block_id, true);
        break;
      case "ArrowLeft":
        if (block && isOpen) toggle(block.block_id, false);
        else if (parent) to(lines.findIndex((l) => l.block?.block_id === parent));
        break;
      case "Enter":
      case " ": enter(lines[i]!); break;
      default: return;
    }
    e.preventDefault();
    e.stopPropagation();
  };
  return (
    <ul class="tree" role="tree" aria-label="Folders" ref={box} style={{ height: `${lines.length * height}px` }}>
      {drawn(seen, lines.length, height, lines.findIndex((l) => keyOf(l) === stop)).map((i) => {
        const line = lines[i]!;
        const { block, level } = line;
        const id = keyOf(line);
        return (
          <li
            key={`${line.parent}/${id}`} role="treeitem" aria-level={level} aria-posinset={line.at + 1} aria-setsize={line.of} tabIndex={id === stop ? 0 : -1}
            aria-expanded={block && opens(block) ? open.has(id) : undefined} aria-selected={id === current} style={{ top: `${i * height}px`, paddingLeft: `${(level - 1) * 0.875}rem` }}
            onKeyDown={(e) => key(e, i)} onFocus={() => setFocus({ key: id, at: i })} onClick={() => enter(line)}
          >
            <span class="tree-sign" aria-hidden="true" onClick={(e) => { if (block && opens(block)) { e.stopPropagation(); toggle(id, !open.has(id)); } }}>
              {block && opens(block) && <Icon of={open.has(id) ? ChevronDown : ChevronRight} />}
            </span>
            <span class="heap-name">{block ? nameOf(block) : "More…"}</span>
          </li>
        );
      })}
    </ul>
  );
}
