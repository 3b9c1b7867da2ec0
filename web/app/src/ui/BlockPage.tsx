import { useEffect, useState } from "preact/hooks";
import { Offline, Problem, post } from "../core/api";
import { heapOf, knownBlock, reach, remember, type Block } from "../core/heaps";
import { blockPath, heapPath } from "../core/router";
import { Lazy } from "./App";
import { BlockMenu } from "./BlockMenu";
import { HeapPage } from "./HeapPage";
import { Related, type Backlink, type Relation } from "./Related";
import { nameOf } from "./Rows";
import { useChanges } from "./useListing";
import { useTitle } from "./useTitle";

const editor = () => import("../editor/BlockEditor").then((m) => m.BlockEditor);

/** BlockPage is a block with what can be done to it: a folder as a list, all else in the editor. */
export function BlockPage({ heap, block }: { heap: string; block: string }) {
  const found = useBlock(heap, block);
  const about = found?.block;
  useTitle(about ? nameOf(about) : "");
  if (!about) return <p class="loading" aria-busy="true" />;
  const folder = about.type === "folder";
  return (
    <>
      <div class="crumbs">
        <Crumbs heap={heap} block={about} />
        {!folder && <span class="actions"><BlockMenu heap={heap} block={about} /></span>}
      </div>
      {!folder && <h1 class="sr">{nameOf(about)}</h1>}
      {folder ? <HeapPage heap={heap} folder={about} /> : <Lazy load={editor} heap={heap} block={block} />}
      <Related heap={heap} relations={found?.relations ?? []} backlinks={found?.backlinks ?? []} />
    </>
  );
}

interface Found {
  block: Block;
  relations?: Relation[];
  backlinks?: Backlink[];
}

/** useBlock is what is known of a block: first here, then by the server. */
function useBlock(heap: string, block: string): Found | undefined {
  const [found, setFound] = useState<Found>();
  const changes = useChanges(heap);
  useEffect(() => {
    let here = true;
    const unknown: Block = { block_id: block, type: "note", title: "", updated_at: Date.now(), created_at: Date.now(), size: 0, parent: null, children: 0, apps: {}, trashed_at: null };
    void knownBlock(heap, block).then((known) => here && known && setFound((now) => now ?? { block: known }));
    reach(() => post<Found>(`/api/block/${encodeURIComponent(block)}`, { heap_id: heap })).then(
      (answer) => {
        if (here) setFound(answer);
        void remember(heap, [answer.block]);
      },
      (err: unknown) => {
        // A new one is only here yet; the editor says what is wrong with others.
        if (!(err instanceof Offline || err instanceof Problem)) throw err;
        if (here) setFound((now) => now ?? { block: unknown });
      },
    );
    return () => void (here = false);
  }, [heap, block, changes]);
  return found;
}

/** Crumbs lead from the heap to where a block lies. */
function Crumbs({ heap, block }: { heap: string; block: Block }) {
  const [above, setAbove] = useState<Block[]>([]);
  useEffect(() => {
    let here = true;
    const walk = async () => {
      const path: Block[] = [];
      for (let at = block.parent; at && path.length < 20 && !path.some((b) => b.block_id === at); ) {
        const known = await knownBlock(heap, at);
        if (!known) break;
        path.unshift(known);
        at = known.parent;
      }
      if (here) setAbove(path);
    };
    void walk();
    return () => void (here = false);
  }, [heap, block.parent]);
  return (
    <nav class="path" aria-label="Where this lies">
      <a href={heapPath(heap)}>‹ {heapOf(heap)?.name ?? "Heap"}</a>
      {above.map((b) => <a key={b.block_id} href={blockPath(heap, b.block_id)}>› {nameOf(b)}</a>)}
    </nav>
  );
}
