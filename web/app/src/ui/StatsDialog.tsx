import { useEffect, useState } from "preact/hooks";
import { heapOf } from "../core/heaps";
import { diskOf, diskParts, heapStats, type HeapStats } from "../core/stats";
import { Amounts, Days } from "./Charts";
import { Dialog } from "./Dialog";
import { bytes, many, when } from "./format";
import { attempt } from "./Toasts";

const count = (n: number): string => n.toLocaleString();

/** StatsDialog sums a heap up for its members. */
export function StatsDialog({ heap, close }: { heap: string; close: () => void }) {
  const [stats, setStats] = useState<HeapStats>();
  useEffect(() => void attempt(async () => setStats(await heapStats(heap))), [heap]);
  return (
    <Dialog title="Statistics" close={close}>
      {stats ? <Stats name={heapOf(heap)?.name || "This heap"} stats={stats} /> : <p class="loading" aria-busy="true" />}
    </Dialog>
  );
}

function Stats({ name, stats }: { name: string; stats: HeapStats }) {
  const types = Object.entries(stats.by_type).sort(([, a], [, b]) => b - a);
  return (
    <>
      <dl class="facts">
        <dt>Blocks</dt><dd>{count(stats.blocks)}{stats.trashed > 0 && `, ${count(stats.trashed)} of them in the trash`}</dd>
        <dt>Files</dt><dd>{count(stats.files)}</dd>
        <dt>Members</dt><dd>{count(stats.members)}</dd>
        {stats.last_change_at && <><dt>Last change</dt><dd>{when(stats.last_change_at)}</dd></>}
      </dl>
      {types.length > 0 && (
        <>
          <h3>Blocks by type</h3>
          <Amounts caption="Blocks by type" parts={["All"]} words={count} rows={types.map(([type, n]) => ({ key: type, name: type || "no type", values: [n] }))} />
        </>
      )}
      <h3>Size</h3>
      <Amounts caption="Bytes" parts={diskParts} words={bytes} rows={[{ key: "heap", name, values: diskOf(stats) }]} />
      <h3>Activity</h3>
      <p class="quiet">{many(stats.updates, "edit", "edits")} since the beginning; these are of the last 90 days.</p>
      <Days caption="Edits by day" days={stats.activity} />
    </>
  );
}
