import { useEffect, useState } from "preact/hooks";
import { call, get, post } from "../core/api";
import { heapOf, mayEdit, reach, type Block } from "../core/heaps";
import { heapPath } from "../core/router";
import { many, onDay } from "./format";
import { attempt, toast } from "./Toasts";
import { VirtualList } from "./VirtualList";
import { useTitle } from "./useTitle";

interface Trashed extends Block {
  expires_at: number;
}

interface Answer {
  blocks: Trashed[];
  next_cursor: string | null;
}

const path = (heap: string): string => `/api/trash/${encodeURIComponent(heap)}`;

/** TrashPage lists what is in the trash of a heap, and brings it back. */
export function TrashPage({ heap }: { heap: string }) {
  const [list, setList] = useState<Trashed[]>();
  const [next, setNext] = useState<string | null>(null);
  useTitle("Trash");
  const load = (cursor: string | null) =>
    attempt(async () => {
      const page = await reach(() => get<Answer>(`${path(heap)}?limit=500${cursor ? "&cursor=" + encodeURIComponent(cursor) : ""}`));
      setList((known) => (cursor ? [...(known ?? []), ...page.blocks] : page.blocks));
      setNext(page.next_cursor);
    });
  useEffect(() => void load(null), [heap]);

  const editable = mayEdit(heapOf(heap));
  const restore = (ids: string[] | undefined) =>
    attempt(async () => {
      const done = await reach(() =>
        post<{ restored: string[]; failed?: { block_id: string; code: string }[] }>(`${path(heap)}/restore`, ids ? { block_ids: ids } : { all: true }),
      );
      toast(`${many(done.restored.length, "block is", "blocks are")} back.`);
      if (done.failed?.length) toast(`${many(done.failed.length, "block", "blocks")} could not be brought back: ${done.failed[0]!.code}`, "error");
      setList((known) => known?.filter((b) => !done.restored.includes(b.block_id)));
      if (!ids) await load(null);
    });
  const empty = () =>
    attempt(async () => {
      if (!confirm("Everything in the trash of this heap is deleted for good, for everybody. Nobody can bring it back. Go on?")) return;
      const done = await reach(() => call<{ deleted: number }>("DELETE", path(heap)));
      toast(`${many(done.deleted, "block", "blocks")} deleted for good.`);
      await load(null);
    });

  const row = (b: Trashed) => (
    <div class="row">
      <span class="row-title">{b.title || "Untitled"}</span>
      {editable && <button class="row-action" onClick={() => void restore([b.block_id])} aria-label={`Restore ${b.title || "Untitled"}`}>Restore</button>}
      <span class="row-text quiet">Deleted for good on {onDay(b.expires_at)}</span>
    </div>
  );

  return (
    <section class="heap">
      <p class="crumbs"><a href={heapPath(heap)}>‹ {heapOf(heap)?.name ?? "Heap"}</a></p>
      <div class="heap-head">
        <h1>Trash</h1>
        {editable && list && list.length > 0 && (
          <div class="actions">
            <button onClick={() => void restore(undefined)}>Restore all</button>
            <button class="danger" onClick={() => void empty()}>Empty the trash</button>
          </div>
        )}
      </div>
      {!list ? <p class="loading" aria-busy="true" />
        : list.length === 0 ? <p class="quiet empty">Nothing is in the trash.</p>
        : <VirtualList rows={list.length} height={68} keyOf={(i) => list[i]!.block_id} label="Blocks in the trash" row={(i) => row(list[i]!)}
            seen={(_, last) => next && last >= list.length - 40 && void load(next)} />}
    </section>
  );
}
