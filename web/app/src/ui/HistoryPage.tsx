import { useEffect, useState } from "preact/hooks";
import { post, get } from "../core/api";
import { compare } from "../core/diff";
import { heapOf, mayEdit, reach } from "../core/heaps";
import { blockPath, go } from "../core/router";
import { many, when } from "./format";
import { attempt, toast } from "./Toasts";
import { useTitle } from "./useTitle";

interface Author {
  user: string;
  device: string;
  updates: number;
}

interface Moment {
  id: string;
  seq: number;
  at: number;
  name: string | null;
  users: Author[];
}

type Content = Record<string, { text?: string } | undefined>;

interface Version extends Moment {
  content: Content;
  added: number;
  removed: number;
}

interface History {
  versions: Moment[];
  next_cursor: string | null;
}

interface Member {
  user_id: string;
  public_key: string;
  name: string;
}

/** How a moment is shown: what it changed, what has changed since, or as it was. */
type How = "changes" | "since" | "then";

/** textOf is what a document says, without what is about it. */
const textOf = (content: Content): string =>
  Object.entries(content).filter(([root, value]) => root !== "block" && value?.text).map(([, value]) => value!.text).join("\n\n");

const api = (block: string): string => `/api/block/${encodeURIComponent(block)}`;

/** HistoryPage shows a block as it was, what has changed since, and brings it back. */
export function HistoryPage({ heap, block }: { heap: string; block: string }) {
  const [moments, setMoments] = useState<Moment[]>();
  const [next, setNext] = useState<string | null>(null);
  const [names, setNames] = useState<Map<string, string>>(new Map());
  const [chosen, setChosen] = useState<Moment>();
  const [then, setThen] = useState<Version>();
  const [before, setBefore] = useState("");
  const [now, setNow] = useState("");
  const [how, setHow] = useState<How>("changes");

  useTitle("History");
  const load = (cursor: string | null) =>
    attempt(async () => {
      const page = await reach(() => post<History>(`/api/block_updates/${encodeURIComponent(block)}`, { heap_id: heap, limit: 200, cursor: cursor ?? undefined }));
      setMoments((known) => (cursor ? [...(known ?? []), ...page.versions] : page.versions));
      setNext(page.next_cursor);
    });
  useEffect(() => {
    void load(null);
    void attempt(async () => {
      const { members } = await reach(() => get<{ members: Member[] }>(`/api/heap/${encodeURIComponent(heap)}/members`));
      setNames(new Map(members.map((m) => [m.user_id, m.name || m.public_key.slice(0, 8)])));
    });
    void attempt(async () => setNow(textOf((await reach(() => post<{ content: Content }>(api(block), { heap_id: heap }))).content)));
  }, [heap, block]);

  const at = moments && chosen ? moments.findIndex((m) => m.id === chosen.id) : -1;
  const older = moments?.[at + 1];
  const unknown = at >= 0 && !older && next !== null; // there is one before it that is not loaded
  useEffect(() => {
    setThen(undefined);
    if (!chosen || at < 0) return;
    if (unknown) return void load(next);
    let here = true;
    const versionOf = (m: Moment) => reach(() => get<Version>(`${api(block)}/versions/${encodeURIComponent(m.id)}?heap_id=${encodeURIComponent(heap)}`));
    void attempt(async () => {
      const [version, last] = await Promise.all([versionOf(chosen), older && versionOf(older)]);
      if (!here) return;
      setBefore(last ? textOf(last.content) : "");
      setThen(version);
    });
    return () => void (here = false);
  }, [chosen?.id, older?.id, unknown]);

  const editable = mayEdit(heapOf(heap));
  const restore = () =>
    attempt(async () => {
      await reach(() => post(`${api(block)}/versions/${encodeURIComponent(chosen!.id)}/restore`, { heap_id: heap }));
      toast("The note is as it was then. What was there before is in its history.");
      go(blockPath(heap, block));
    });
  const nameIt = () =>
    attempt(async () => {
      const name = prompt("A name for the note as it is now");
      if (!name?.trim()) return;
      await reach(() => post(`${api(block)}/versions`, { heap_id: heap, name: name.trim() }));
      await load(null);
    });

  return (
    <section class="history">
      <div class="history-list">
        <p class="crumbs"><a href={blockPath(heap, block)}>‹ Back to the note</a></p>
        <h1>History</h1>
        {editable && <button onClick={() => void nameIt()}>Name this moment</button>}
        {!moments && <p class="loading" aria-busy="true" />}
        <ul>
          {moments?.map((m) => (
            <li key={m.id}>
              <button class="plain moment" aria-pressed={m.id === chosen?.id} onClick={() => setChosen(m)}>
                <strong>{m.name ?? when(m.at)}</strong>
                <span class="quiet">{[m.name && when(m.at), who(m.users, names)].filter(Boolean).join(" · ")}</span>
              </button>
            </li>
          ))}
        </ul>
        {next && <button onClick={() => void load(next)}>Older</button>}
      </div>
      <div class="history-view" aria-live="polite">
        {!chosen ? <p class="quiet">Choose a moment to see the note as it was.</p>
          : !then ? <p class="loading" aria-busy="true" />
          : <>
              <div class="history-head">
                <p>
                  <strong>{when(then.at)}</strong>
                  <span class="quiet"> — {many(then.added, "character", "characters")} added, {then.removed.toLocaleString()} removed</span>
                </p>
                <div class="actions">
                  <label><span class="sr">Show</span>
                    <select value={how} onChange={(e) => setHow(e.currentTarget.value as How)}>
                      <option value="changes">What changed then</option>
                      <option value="since">What changed since</option>
                      <option value="then">As it was</option>
                    </select>
                  </label>
                  {editable && <button class="main" onClick={() => void restore()}>Restore</button>}
                </div>
              </div>
              <pre class="as-it-was">
                {how === "then" ? textOf(then.content) : how === "since" ? <Compared from={textOf(then.content)} to={now} /> : <Compared from={before} to={textOf(then.content)} />}
              </pre>
            </>}
      </div>
    </section>
  );
}

/** Compared marks what a text has more, and less, than another. */
function Compared({ from, to }: { from: string; to: string }) {
  return <>{compare(from, to).map((p, i) => (p.kind === "added" ? <ins key={i}>{p.text}</ins> : p.kind === "removed" ? <del key={i}>{p.text}</del> : p.text))}</>;
}

function who(users: Author[], names: Map<string, string>): string {
  const all = [...new Set(users.map((u) => names.get(u.user) ?? "somebody"))];
  const devices = [...new Set(users.map((u) => u.device).filter(Boolean))];
  return all.join(", ") + (devices.length === 1 ? ` on ${devices[0]}` : "");
}
