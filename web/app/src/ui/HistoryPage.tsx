import { useEffect, useState } from "preact/hooks";
import { post, get } from "../core/api";
import { compare } from "../core/diff";
import { heapOf, mayEdit, reach } from "../core/heaps";
import { blockPath, go } from "../core/router";
import { when } from "./format";
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
  const [now, setNow] = useState("");
  const [how, setHow] = useState<"then" | "changes">("changes");

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

  useEffect(() => {
    setThen(undefined);
    if (!chosen) return;
    let here = true;
    void attempt(async () => {
      const version = await reach(() => get<Version>(`${api(block)}/versions/${encodeURIComponent(chosen.id)}?heap_id=${encodeURIComponent(heap)}`));
      if (here) setThen(version);
    });
    return () => void (here = false);
  }, [chosen]);

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
                  <span class="quiet"> — since the moment before: {then.added.toLocaleString()} characters added, {then.removed.toLocaleString()} removed</span>
                </p>
                <div class="actions">
                  <button aria-pressed={how === "changes"} onClick={() => setHow(how === "changes" ? "then" : "changes")}>
                    {how === "changes" ? "Show as it was" : "Compare with now"}
                  </button>
                  {editable && <button class="main" onClick={() => void restore()}>Restore</button>}
                </div>
              </div>
              <pre class="as-it-was">
                {how === "then" ? textOf(then.content) : compare(textOf(then.content), now).map((p, i) =>
                  p.kind === "added" ? <ins key={i}>{p.text}</ins> : p.kind === "removed" ? <del key={i}>{p.text}</del> : p.text)}
              </pre>
            </>}
      </div>
    </section>
  );
}

function who(users: Author[], names: Map<string, string>): string {
  const all = [...new Set(users.map((u) => names.get(u.user) ?? "somebody"))];
  const devices = [...new Set(users.map((u) => u.device).filter(Boolean))];
  return all.join(", ") + (devices.length === 1 ? ` on ${devices[0]}` : "");
}
