import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { heapOf, search, type Found } from "../core/heaps";
import { Row } from "./Rows";
import { words } from "./Toasts";
import { VirtualList } from "./VirtualList";

/** SearchAll finds blocks in all heaps. Until something is searched, it shows what is in it. */
export function SearchAll({ children }: { children: ComponentChildren }) {
  const [text, setText] = useState("");
  const [found, setFound] = useState<Found[]>();
  const [wrong, setWrong] = useState("");
  const query = text.trim();
  useEffect(() => {
    let here = true;
    setWrong("");
    if (!query) return setFound(undefined);
    const timer = setTimeout(() => search(query).then((found) => here && setFound(found), (err: unknown) => here && setWrong(words(err))), 120);
    return () => {
      here = false;
      clearTimeout(timer);
    };
  }, [query]);
  return (
    <>
      <div class="search-all" role="search">
        <label><span class="sr">Search all heaps</span>
          <input type="search" placeholder="Search all heaps" value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
      </div>
      {wrong && <p class="error" role="alert">{wrong}</p>}
      {!query ? children
        : !found ? <p class="loading" aria-busy="true" />
        : found.length === 0 ? <p class="quiet">Nothing found.</p>
        : <VirtualList rows={found.length} height={68} keyOf={(i) => `${found[i]!.heap_id}/${found[i]!.block_id}`} label="Found" row={(i) => <Row heap={found[i]!.heap_id} block={found[i]!} place={heapOf(found[i]!.heap_id)?.name} />} />}
    </>
  );
}
