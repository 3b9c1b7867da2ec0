import { useRef, useState } from "preact/hooks";
import { FolderPlus, SquarePen, Trash2, Upload, UserPlus } from "lucide";
import { heapOf, mayEdit, type Block, type Query } from "../core/heaps";
import { add as addUploads } from "../core/uploads";
import { blockPath, go, heapPath } from "../core/router";
import { Lazy } from "./App";
import { ArchiveMenu } from "./ArchiveMenu";
import { EmptyHeap } from "./EmptyHeap";
import { Filters } from "./Filters";
import { HeapMenu } from "./HeapMenu";
import { HeapStats } from "./HeapStats";
import { Icon } from "./Icon";
import { Menu } from "./Menu";
import { Cell, nameOf, Row } from "./Rows";
import { attempt } from "./Toasts";
import { useFiles } from "./useFiles";
import { useListing } from "./useListing";
import { useTitle } from "./useTitle";
import { VirtualGrid, VirtualList } from "./VirtualList";

const shareDialog = () => import("./ShareDialog").then((m) => m.ShareDialog);
const folderMenu = () => import("./BlockMenu").then((m) => m.BlockMenu);

const none: Block[] = [];

/** HeapPage lists what is in a heap, or in one of its folders. */
export function HeapPage({ heap, folder }: { heap: string; folder?: Block }) {
  const [filter, setFilter] = useState<Query>({});
  const text = filter.query?.trim();
  const parent = folder?.block_id;
  const query: Query = { ...filter, query: text || undefined, parent };
  const { rows, name, seen, moved, changes } = useListing(heap, query, Boolean(text));

  const [sharing, setSharing] = useState(false);
  const info = heapOf(heap);
  const editable = mayEdit(info);
  const title = folder ? nameOf(folder) : info?.name || "Heap";
  useTitle(title);
  const make = (type: "note" | "folder") =>
    attempt(async () => {
      const title = type === "folder" ? prompt("Name of the folder")?.trim() : "";
      if (title === undefined || (type === "folder" && !title)) return;
      const { begin } = await import("../editor/begin");
      const id = await begin(heap, { type, title, parent });
      if (type === "folder") void import("../core/outbox").then(({ pushSoon }) => pushSoon(heap, id));
      go(blockPath(heap, id));
    });

  const [grid, setGrid] = useState(() => localStorage.getItem("view") === "grid");
  const view = (grid: boolean) => {
    localStorage.setItem("view", grid ? "grid" : "list");
    setGrid(grid);
  };
  const pick = useRef<HTMLInputElement>(null);
  const upload = (files: File[]) => void (files.length > 0 && attempt(() => addUploads(heap, files, parent)));
  const { over, drag } = useFiles(editable, upload);

  const keyOf = (i: number): string => rows?.at(i)?.block_id ?? `row ${i}`;
  const narrowed = Boolean(text || filter.type || filter.tag);
  return (
    <section class={`heap ${over ? "over" : ""}`} {...drag}>
      <div class="heap-head">
        <h1>{title}</h1>
        <div class="actions">
          {editable && <button class="main" onClick={() => void make("note")}><Icon of={SquarePen} />New note</button>}
          {editable && <button onClick={() => void make("folder")}><Icon of={FolderPlus} />New folder</button>}
          {editable && (
            <>
              <button onClick={() => pick.current!.click()}><Icon of={Upload} />Upload</button>
              <input ref={pick} type="file" multiple hidden aria-label="Files to upload" onChange={(e) => { upload([...(e.currentTarget.files ?? [])]); e.currentTarget.value = ""; }} />
            </>
          )}
          {!folder && <button onClick={() => setSharing(true)}><Icon of={UserPlus} />Share</button>}
          <Menu>
            {folder ? <Lazy load={folderMenu} heap={heap} block={folder} />
              : <>
                  {info && <ArchiveMenu heap={info} />}
                  <a class="button plain" href={heapPath(heap, "trash")}><Icon of={Trash2} />Trash</a>
                  <HeapStats heap={heap} />
                  {info?.role === "owner" && <HeapMenu heap={info} />}
                </>}
          </Menu>
        </div>
        {sharing && <Lazy load={shareDialog} heap={heap} close={() => setSharing(false)} />}
      </div>
      <Filters heap={heap} parent={parent} query={filter} change={setFilter} latest={rows?.latest ?? none} changes={changes} grid={grid} view={view} />
      {!rows ? <p class="loading" aria-busy="true" />
        : rows.total === 0 && !narrowed && !folder && editable ? <EmptyHeap heap={heap} />
        : rows.total === 0 ? <p class="quiet empty">{narrowed ? "Nothing found." : "Nothing here yet."}</p>
        : grid ? <VirtualGrid key={name} cells={rows.total} width={168} height={188} keyOf={keyOf} seen={seen} moved={moved} label="Blocks" cell={(i) => <Cell heap={heap} block={rows.at(i)} />} />
        : <VirtualList key={name} rows={rows.total} height={68} keyOf={keyOf} seen={seen} moved={moved} label="Blocks" row={(i) => <Row heap={heap} block={rows.at(i)} />} />}
    </section>
  );
}
