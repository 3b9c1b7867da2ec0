import { useEffect, useState } from "preact/hooks";
import { nameOf, stats, usersAfter, type Stats, type User } from "../../core/admin";
import { heaps, type Heap } from "../../core/heaps";
import { diskOf, diskParts, heapStats, type HeapStats } from "../../core/stats";
import { Amounts, Days, type Day } from "../Charts";
import { bytes, many } from "../format";
import { attempt } from "../Toasts";
import { DeletedHeaps } from "./DeletedHeaps";

/** shown accounts and heaps have a bar. */
const shown = 30;

interface Known {
  stats: Stats;
  users: User[];
  heaps: [Heap, HeapStats][];
}

/** Storage says what takes up how much, and when there was something to do. */
export function Storage() {
  const [known, setKnown] = useState<Known>();
  const mine = heaps.value;
  useEffect(() => {
    if (mine && !known) void attempt(async () => setKnown(await look(mine)));
  }, [mine]);
  if (!known) return <p class="loading" aria-busy="true" />;
  const { files, files_bytes, derived, derived_bytes } = known.stats.storage;
  const users = known.users.toSorted((a, b) => b.usage.storage_bytes - a.usage.storage_bytes);
  return (
    <>
      <h2>Stored files</h2>
      <dl class="facts">
        <dt>Files</dt><dd>{many(files, "file", "different files")}, {bytes(files_bytes)}</dd>
        <dt>Pictures of them</dt><dd>{many(derived, "picture", "pictures")}, {bytes(derived_bytes)}</dd>
      </dl>
      <h2>By account</h2>
      <Amounts caption="Bytes by account" parts={["Files", "Edits"]} words={bytes}
        rows={users.slice(0, shown).map((u) => ({ key: u.id, name: nameOf(u), values: [u.usage.storage_bytes - u.usage.updates_bytes, u.usage.updates_bytes] }))} />
      {users.length > shown && <p class="quiet">These are the {shown} largest of {many(users.length, "account", "accounts")}.</p>}
      <h2>Your heaps</h2>
      {known.heaps.length === 0 ? <p class="quiet">You are in no heap. The heaps of others are theirs to see.</p> : (
        <>
          <Amounts caption="Bytes by heap" parts={diskParts} words={bytes} rows={known.heaps.map(([h, s]) => ({ key: h.id, name: h.name || "Untitled", values: diskOf(s) }))} />
          <h2>Activity in your heaps</h2>
          <Days caption="Edits by day" days={together(known.heaps.map(([, s]) => s.activity))} />
        </>
      )}
      <DeletedHeaps />
    </>
  );
}

async function look(mine: Heap[]): Promise<Known> {
  const largest = mine.toSorted((a, b) => b.storage_bytes - a.storage_bytes).slice(0, shown);
  const [all, users, each] = await Promise.all([stats(), allUsers(), Promise.all(largest.map((h) => heapStats(h.id)))]);
  return { stats: all, users, heaps: largest.map((h, i) => [h, each[i]!]) };
}

async function allUsers(): Promise<User[]> {
  const all: User[] = [];
  for (let cursor: string | null = null; ; ) {
    const page = await usersAfter(cursor);
    all.push(...page.users);
    cursor = page.next_cursor;
    if (!cursor) return all;
  }
}

/** together adds the days of several heaps up. */
function together(heaps: Day[][]): Day[] {
  const sums = new Map<string, number>();
  for (const { day, updates } of heaps.flat()) sums.set(day, (sums.get(day) ?? 0) + updates);
  return [...sums].map(([day, updates]) => ({ day, updates }));
}
