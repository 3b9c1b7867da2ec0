import { useEffect, useRef, useState } from "preact/hooks";
import { newID } from "../core/bytes";
import { deleteHeap, heapOf, list, loadHeaps, mayEdit, remember, renameHeap, type Block, type Heap, type Query } from "../core/heaps";
import { listen } from "../core/events";
import { add as addUploads } from "../core/uploads";
import { blockPath, go, heapPath } from "../core/router";
import { Lazy } from "./App";
import { onDay } from "./format";
import { Marked } from "./Marked";
import { attempt, toast, words } from "./Toasts";
import { Picture } from "./Picture";
import { VirtualGrid, VirtualList } from "./VirtualList";

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
  // changed just before. What comes while one waits may be too young for it.
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let more = false;
    const wait = () => {
      more = false;
      timer = setTimeout(() => {
        timer = undefined;
        setChanges((n) => n + 1);
        void loadHeaps().catch(() => {}); // counts; they are not worth a word
        if (more) wait();
      }, 2000);
    };
    const stop = listen(heap, ({ event }) => {
      if (!/^(block\.|file\.|again)/.test(event)) return;
      if (timer) more = true;
      else wait();
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

  const [over, setOver] = useState(false);
  const [grid, setGrid] = useState(() => localStorage.getItem("view") === "grid");
  const view = (grid: boolean) => {
    localStorage.setItem("view", grid ? "grid" : "list");
    setGrid(grid);
  };
  const pick = useRef<HTMLInputElement>(null);
  const upload = (files: FileList | null | undefined) => {
    const list = [...(files ?? [])];
    if (list.length > 0 && mayEdit(info)) void attempt(() => addUploads(heap, list));
  };
  const drag = {
    onDragOver: (e: DragEvent) => {
      if (!e.dataTransfer?.types.includes("Files") || !mayEdit(info)) return;
      e.preventDefault();
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop: (e: DragEvent) => {
      setOver(false);
      if (!e.dataTransfer?.files.length) return;
      e.preventDefault();
      upload(e.dataTransfer.files);
    },
  };
  useEffect(() => {
    const paste = (e: ClipboardEvent) => {
      if ((e.target as Element).closest?.("input, textarea, [contenteditable]")) return;
      upload(e.clipboardData?.files);
    };
    addEventListener("paste", paste);
    return () => removeEventListener("paste", paste);
  }, [heap, info]);

  return (
    <section class={`heap ${over ? "over" : ""}`} {...drag}>
      <div class="heap-head">
        <h1>{info?.name || "Heap"}</h1>
        <div class="actions">
          {mayEdit(info) && <button class="main" onClick={() => void attempt(add)}>New note</button>}
          {mayEdit(info) && (
            <>
              <button onClick={() => pick.current!.click()}>Upload</button>
              <input ref={pick} type="file" multiple hidden aria-label="Files to upload" onChange={(e) => { upload(e.currentTarget.files); e.currentTarget.value = ""; }} />
            </>
          )}
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
        <button aria-pressed={grid} onClick={() => view(!grid)}>{grid ? "List" : "Grid"}</button>
      </div>
      {!pages ? <p class="loading" aria-busy="true" />
        : pages.blocks.length === 0 ? <p class="quiet empty">{text ? "Nothing found." : "Nothing here yet."}</p>
        : grid ? <VirtualGrid items={pages.blocks} width={168} height={188} keyOf={(b) => b.block_id} onEnd={() => void more()} label="Blocks"
            cell={(b) => <Cell heap={heap} block={b} />} />
        : <VirtualList items={pages.blocks} height={68} keyOf={(b) => b.block_id} onEnd={() => void more()} label="Blocks"
            row={(b) => <Row heap={heap} block={b} />} />}
    </section>
  );
}

function Cell({ heap, block }: { heap: string; block: Block }) {
  return (
    <a class="cell" href={blockPath(heap, block.block_id)}>
      {block.file ? <Picture heap={heap} block={block.block_id} file={block.file} size={256} /> : <span class="cell-text quiet">{block.snippet}</span>}
      <span class="row-title">{block.title || block.file?.name || "Untitled"}</span>
    </a>
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
    <a class={`row ${block.file ? "with-picture" : ""}`} href={blockPath(heap, block.block_id)}>
      {block.file && <Picture heap={heap} block={block.block_id} file={block.file} size={128} />}
      <span class="row-title"><Marked text={block.title || block.file?.name || "Untitled"} ranges={block.title ? block.title_matches : undefined} /></span>
      <time class="quiet" dateTime={new Date(block.updated_at).toISOString()}>{onDay(block.updated_at)}</time>
      <span class="row-text quiet"><Marked text={block.snippet ?? ""} ranges={block.matches} /></span>
    </a>
  );
}
