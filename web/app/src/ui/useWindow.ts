import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

export interface Window {
  first: number; // row that can be seen
  last: number;
}

/** useWindow says which rows of a list of rows of one height can be seen, in the element around it that scrolls. */
export function useWindow(list: RefObject<HTMLElement | null>, scroller: string, rows: number, height: number): Window {
  const [seen, setSeen] = useState<Window>({ first: 0, last: 0 });
  useLayoutEffect(() => {
    const outer = list.current?.closest<HTMLElement>(scroller);
    if (!outer) return;
    const measure = () => {
      const above = outer.getBoundingClientRect().top - list.current!.getBoundingClientRect().top;
      const limit = (row: number) => Math.max(0, Math.min(row, rows - 1));
      const first = limit(Math.floor(above / height));
      const last = limit(Math.floor((above + outer.clientHeight) / height));
      setSeen((now) => (now.first === first && now.last === last ? now : { first, last }));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(outer);
    outer.addEventListener("scroll", measure, { passive: true });
    return () => {
      observer.disconnect();
      outer.removeEventListener("scroll", measure);
    };
  }, [scroller, rows, height]);
  return seen;
}

/** How far beyond what can be seen rows are in the page, in pixels. */
const beyond = 500;

/** drawn is the rows to have in the page: those that can be seen, some around them, and one that must not go. */
export function drawn({ first, last }: Window, rows: number, height: number, stays = -1): number[] {
  const some = Math.ceil(beyond / height);
  const from = Math.max(0, first - some);
  const to = Math.min(rows - 1, last + some);
  const list = Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i);
  if (stays >= 0 && stays < rows && (stays < from || stays > to)) list.push(stays);
  return list.sort((a, b) => a - b);
}

/** useKeptFocus has the focus stay in a list when what had it was moved in the page, or left it: then other takes it. */
export function useKeptFocus(list: RefObject<HTMLElement | null>, other: () => HTMLElement | null | undefined): void {
  const had = useRef<HTMLElement>(undefined);
  const focused = document.activeElement as HTMLElement | null;
  had.current = focused && list.current?.contains(focused) ? focused : undefined;
  useLayoutEffect(() => {
    if (had.current && document.activeElement !== had.current) (had.current.isConnected ? had.current : other())?.focus({ preventScroll: true });
  });
}
