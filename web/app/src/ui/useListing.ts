import { useEffect, useState } from "preact/hooks";
import { listen } from "../core/events";
import { isPlaced, list, listFrom, loadHeaps, type Query } from "../core/heaps";
import { Paged, Placed, type Rows, type Spot } from "../core/listing";
import { attempt } from "./Toasts";

/** looks are how long (ms) after a change, and then after each other, lists are looked at. */
const looks = [400, 2000, 5000];

/** useChanges counts up when what lists show of a heap may have changed. */
export function useChanges(heap: string): number {
  // The server's lists follow a change within 2 s, mostly much sooner, and on a machine with
  // much to do later: they are looked at early, late, and once more, the latter also after one
  // came here, for what had changed just before.
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let turn = 0;
    let more = false;
    const wait = (to: number) => {
      clearTimeout(timer);
      turn = to;
      more = false;
      timer = setTimeout(() => {
        timer = undefined;
        setChanges((n) => n + 1);
        if (more) wait(0);
        else if (turn + 1 < looks.length) wait(turn + 1);
      }, looks[to]);
    };
    wait(1);
    const stop = listen(heap, ({ event }) => {
      if (!/^(block\.|file\.|again)/.test(event)) return;
      if (!timer || turn === looks.length - 1) wait(0);
      else if (turn > 0) more = true; // it may be too young for this look
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
