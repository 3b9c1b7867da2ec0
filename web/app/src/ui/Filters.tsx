import { useEffect, useState } from "preact/hooks";
import { LayoutGrid, Rows3 } from "lucide";
import { post } from "../core/api";
import { reach, type Block, type Query } from "../core/heaps";
import { tagsOf } from "../core/labels";
import { Icon } from "./Icon";

const typeNames: Record<string, string> = { note: "Notes", file: "Files", folder: "Folders", task: "Tasks" };

interface Props {
  heap: string;
  parent?: string;
  query: Query;
  change: (query: Query) => void;
  latest: Block[]; // of those that are listed
  changes: number;
  grid: boolean;
  view: (grid: boolean) => void;
}

/** Filters narrow a list: by words, by type, by tag. */
export function Filters({ heap, parent, query, change, latest, changes, grid, view }: Props) {
  const [types, setTypes] = useState<string[]>([]);
  useEffect(() => {
    reach(() => post<{ by_type: Record<string, number> }>("/api/heap_count", { heap_id: heap, parent })).then(
      (counts) => setTypes(Object.keys(counts.by_type).sort()),
      () => {}, // there is nothing to choose from then
    );
  }, [heap, parent, changes]);

  // Tags of what was listed since one came here.
  const [tags, setTags] = useState<string[]>([]);
  useEffect(() => {
    const all = new Set(tags);
    for (const block of latest) for (const tag of tagsOf(block.apps)) all.add(tag);
    if (all.size !== tags.length) setTags([...all].sort((a, b) => a.localeCompare(b)));
  }, [latest]);

  const set = (part: Query) => change({ ...query, ...part });
  const shownTypes = query.type && !types.includes(query.type) ? [...types, query.type] : types;
  return (
    <div class="filters" role="search">
      <label class="grow"><span class="sr">Search this heap</span>
        <input type="search" placeholder="Search" value={query.query ?? ""} onInput={(e) => set({ query: e.currentTarget.value })} />
      </label>
      {shownTypes.length > 1 && (
        <label><span class="sr">Type</span>
          <select value={query.type ?? ""} onChange={(e) => set({ type: e.currentTarget.value || undefined })}>
            <option value="">All types</option>
            {shownTypes.map((type) => <option key={type} value={type}>{typeNames[type] ?? type}</option>)}
          </select>
        </label>
      )}
      {tags.length > 0 && (
        <label><span class="sr">Tag</span>
          <select value={query.tag ?? ""} onChange={(e) => set({ tag: e.currentTarget.value || undefined })}>
            <option value="">All tags</option>
            {tags.map((tag) => <option key={tag} value={tag}>#{tag}</option>)}
          </select>
        </label>
      )}
      <label><span class="sr">Order</span>
        <select value={query.sort ?? ""} onChange={(e) => set({ sort: e.currentTarget.value || undefined })} disabled={Boolean(query.query?.trim())}>
          <option value="">Newest first</option>
          <option value="title">By title</option>
        </select>
      </label>
      <button aria-pressed={grid} onClick={() => view(!grid)}><Icon of={grid ? Rows3 : LayoutGrid} />{grid ? "List" : "Grid"}</button>
    </div>
  );
}
