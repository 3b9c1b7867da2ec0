import { useEffect, useRef, useState } from "preact/hooks";
import { listen } from "../core/events";
import { list, loadHeaps, type Block, type Query } from "../core/heaps";
import { attempt, toast, words } from "./Toasts";

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
  blocks: Block[] | undefined; // those known so far
  changes: number;
  more: () => void;
}

/** useListing is a list of a heap's blocks that follows what happens to them. */
export function useListing(heap: string, query: Query, typing: boolean): Listing {
  const [pages, setPages] = useState<{ blocks: Block[]; next: string | null; id: string }>();
  const loading = useRef(false);
  const asked = useRef(0);
  const id = JSON.stringify(query);
  const changes = useChanges(heap);
  useEffect(() => void (changes > 0 && loadHeaps().catch(() => {})), [changes]); // counts; they are not worth a word

  useEffect(() => {
    const turn = ++asked.current;
    const timer = setTimeout(async () => {
      try {
        const seen = changes > 0 && pages?.id === id ? pages.blocks.length : 0;
        const page = await list(heap, query, null, Math.min(Math.max(seen, 100), 1000));
        if (turn === asked.current) setPages({ blocks: page.blocks, next: page.next_cursor, id });
      } catch (err) {
        toast(words(err), "error");
      }
    }, typing ? 120 : 0);
    return () => clearTimeout(timer);
  }, [heap, id, changes]);

  const more = async () => {
    if (loading.current || !pages?.next || pages.id !== id) return;
    loading.current = true;
    const turn = asked.current;
    const page = await attempt(() => list(heap, query, pages.next, 500));
    loading.current = false;
    if (page && turn === asked.current) setPages({ ...pages, blocks: [...pages.blocks, ...page.blocks], next: page.next_cursor });
  };
  return { blocks: pages?.blocks, changes, more: () => void more() };
}
