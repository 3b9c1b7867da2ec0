import { useEffect, useRef, useState } from "preact/hooks";
import { newID } from "../core/bytes";
import { deleteHeap, heapOf, list, loadHeaps, mayEdit, remember, renameHeap, type Block, type Heap, type Query } from "../core/heaps";
import { listen } from "../core/events";
import { blockPath, go, heapPath } from "../core/router";
import { Lazy } from "./App";
import { onDay } from "./format";
import { Marked } from "./Marked";
import { attempt, toast, words } from "./Toasts";
import { VirtualList } from "./VirtualList";

const shareDialog = () => import("./ShareDialog").then((m) => m.ShareDialog);

/** HeapPage lists what is in a heap. */
export function HeapPage({ heap }: { heap: string }) {
  const [text, setText] = useState("");
  const [sort, setSort] = useState("");
  const [pages, setPages] = useState<{ blocks: Block[]; next: string | null; query: string }>();
  const loading = useRef(false);
  const asked = useRef(0);

  const query: Query = { query: text.trim() || undefined, sort: sort || undefined };
  const id = JSON.stringify(query);

  // The server's lists follow a change within 2 s; "again" comes first of all, for what had
  // changed just before.
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = listen(heap, ({ event }) => {
      if (!event.startsWith("block.") && event !== "again" && event !== "file.ready") return;
      timer ??= setTimeout(() => {
        timer = undefined;
        setChanges((n) => n + 1);
        void loadHeaps().catch(() => {}); // counts; they are not worth a word
      }, 2000);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [heap]);

  useEffect(() => {
    const turn = ++asked.current;
    const timer = setTimeout(async () => {
      try {
        const seen = changes > 0 && pages?.query === id ? pages.blocks.length : 0;
        const page = await list(heap, query, null, Math.min(Math.max(seen, 100), 1000));
        if (turn === asked.current) setPages({ blocks: page.blocks, next: page.next_cursor, query: id });
      } catch (err) {
        toast(words(err), "error");
      }
    }, text ? 120 : 0);
    return () => clearTimeout(timer);
  }, [heap, id, changes]);

  const more = async () => {
    if (loading.current || !pages?.next || pages.query !== id) return;
    loading.current = true;
    const turn = asked.current;
    const page = await attempt(() => list(heap, query, pages.next, 500));
    loading.current = false;
    if (page && turn === asked.current) setPages({ ...pages, blocks: [...pages.blocks, ...page.blocks], next: page.next_cursor });
  };

  const [sharing, setSharing] = useState(false);
  const info = heapOf(heap);
  const add = async () => {
    const block = newID();
    const now = Date.now();
    await remember(heap, [{ block_id: block, type: "note", title: "", updated_at: now, created_at: now, size: 0, parent: null, apps: {}, trashed_at: null }]);
    const { begin } = await import("../editor/begin");
    await begin(heap, block);
    go(blockPath(heap, block));
  };

  return (
    <section class="heap">
      <div class="heap-head">
        <h1>{info?.name || "Heap"}</h1>
        <div class="actions">
          {mayEdit(info) && <button class="main" onClick={() => void attempt(add)}>New note</button>}
          <button onClick={() => setSharing(true)}>Share</button>
          <a class="button" href={heapPath(heap, "trash")}>Trash</a>
          {info?.role === "owner" && <HeapMenu heap={info} />}
        </div>
        {sharing && <Lazy load={shareDialog} heap={heap} close={() => setSharing(false)} />}
      </div>
      <div class="filters" role="search">
        <label class="grow"><span class="sr">Search this heap</span>
          <input type="search" placeholder="Search" value={text} onInput={(e) => setText(e.currentTarget.value)} />
        </label>
        <label><span class="sr">Order</span>
          <select value={sort} onChange={(e) => setSort(e.currentTarget.value)} disabled={text.trim() !== ""}>
            <option value="">Newest first</option>
            <option value="title">By title</option>
          </select>
        </label>
      </div>
      {!pages ? <p class="loading" aria-busy="true" />
        : pages.blocks.length === 0 ? <p class="quiet empty">{text ? "Nothing found." : "Nothing here yet."}</p>
        : <VirtualList items={pages.blocks} height={68} keyOf={(b) => b.block_id} onEnd={() => void more()} label="Blocks"
            row={(b) => <Row heap={heap} block={b} />} />}
    </section>
  );
}

function HeapMenu({ heap }: { heap: Heap }) {
  const rename = () => {
    const name = prompt("A new name for the heap", heap.name);
    if (name?.trim()) void attempt(() => renameHeap(heap.id, name.trim()));
  };
  const remove = () => {
    if (!confirm(`“${heap.name}” disappears for all its members, and is gone for good in seven days. Delete it?`)) return;
    void attempt(async () => {
      await deleteHeap(heap.id);
      go("/");
    });
  };
  return (
    <>
      <button onClick={rename}>Rename</button>
      <button class="danger" onClick={remove}>Delete</button>
    </>
  );
}

function Row({ heap, block }: { heap: string; block: Block }) {
  return (
    <a class="row" href={blockPath(heap, block.block_id)}>
      <span class="row-title"><Marked text={block.title || "Untitled"} ranges={block.title ? block.title_matches : undefined} /></span>
      <time class="quiet" dateTime={new Date(block.updated_at).toISOString()}>{onDay(block.updated_at)}</time>
      <span class="row-text quiet"><Marked text={block.snippet ?? ""} ranges={block.matches} /></span>
    </a>
  );
}
