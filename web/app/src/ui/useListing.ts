import { useEffect, useState } from "preact/hooks";
import { listen } from "../core/events";
import { isPlaced, list, listFrom, loadHeaps, type Query } from "../core/heaps";
import { Paged, Placed, type Rows, type Spot } from "../core/listing";
import { attempt } from "./Toasts";

/** useChanges counts up when what lists show of a heap may have changed. */
export function useChanges(heap: string): number {
  // The server's lists follow a change within 2 s, and mostly much sooner: they are looked
  // at early and late, and late also after one came here, for what had changed just before.
  // What comes while one waits may be too young for it.
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let more = false;
    const late = (ms: number) => {
      more = false;
      timer = setTimeout(() => {
        timer = undefined;
        setChanges((n) => n + 1);
        if (more) early();
      }, ms);
    };
    const early = () => {
      more = false;
      timer = setTimeout(() => {
        setChanges((n) => n + 1);
        late(1600);
      }, 400);
    };
    late(2000);
    const stop = listen(heap, ({ event }) => {
      if (!/^(block\.|file\.|again)/.test(event)) return;
      if (timer) more = true;
      else early();
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [heap]);
  return changes;
}

export interface Listing {
  rows: Rows | undefined; // none: nothing is known yet
  name: string; // tells lists apart
  seen: (first: number, last: number) => void;
  moved: Spot | undefined;
  changes: number;
}

/** useListing is a list of a heap's blocks that follows what happens to them. */
export function useListing(heap: string, query: Query, typing: boolean): Listing {
  const [shown, setShown] = useState<{ id: string; rows: Rows }>();
  const [moved, setMoved] = useState<Spot>();
  const [, redraw] = useState(0);
  const id = JSON.stringify([heap, query]);
  const changes = useChanges(heap);
  useEffect(() => void (changes > 0 && loadHeaps().catch(() => {})), [changes]); // counts; they are not worth a word

  // Another list takes the place of this one when it has come.
  useEffect(() => {
    let here = true;
    const timer = setTimeout(async () => {
      const rows = isPlaced(query) ? new Placed((skip, limit) => listFrom(heap, query, skip, limit)) : new Paged((cursor, limit) => list(heap, query, cursor, limit));
      rows.came = () => {
        if (!here) return;
        setShown({ id, rows });
        redraw((n) => n + 1);
      };
      await attempt(() => rows.see(0, 0));
    }, typing ? 120 : 0);
    return () => {
      here = false;
      clearTimeout(timer);
    };
  }, [id]);

  const now = shown?.rows;
  useEffect(() => {
    if (!now || changes === 0) return;
    void attempt(() => now.refresh()).then((spot) => {
      setMoved(spot);
      redraw((n) => n + 1);
    });
  }, [changes]);

  const seen = (first: number, last: number) => void (now && attempt(() => now.see(first, last)));
  return { rows: now, name: shown?.id ?? "", seen, moved, changes };
}
