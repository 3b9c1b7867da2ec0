import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Spot } from "../core/listing";
import { drawn, useKeptFocus, useWindow } from "./useWindow";

interface Props {
  rows: number;
  height: number; // of a row
  keyOf: (i: number) => string;
  row: (i: number) => ComponentChildren;
  /** seen is told the rows that can be seen, when they change. */
  seen?: (first: number, last: number) => void;
  /** moved is where the first row of them is now, when others came or went above it. */
  moved?: Spot;
  label: string;
}

/** VirtualList has only those rows in the page that can be seen, however many there are. */
export function VirtualList({ rows, height, keyOf, row, seen, moved, label }: Props) {
  const scroller = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const { first, last } = useWindow(list, ".virtual", rows, height);
  useKeptFocus(list, () => scroller.current);
  useLayoutEffect(() => {
    const box = scroller.current!;
    if (!moved || moved.from === moved.to) return;
    if (box.scrollTop > 0) box.scrollTop += (moved.to - moved.from) * height; // who is at the top sees what is new
  }, [moved]);
  useEffect(() => seen?.(first, last), [first, last, rows > 0]);
  const keys = (e: KeyboardEvent) => {
    if (e.ctrlKey || e.altKey || e.metaKey || e.shiftKey) return;
    const box = scroller.current!;
    if (e.key === "Home") box.scrollTop = 0;
    else if (e.key === "End") box.scrollTop = box.scrollHeight;
    else return;
    e.preventDefault();
  };
  return (
    <div class="virtual" ref={scroller} tabIndex={0} role="region" aria-label={label} onKeyDown={keys}>
      <ul ref={list} style={{ height: `${rows * height}px` }}>
        {drawn({ first, last }, rows, height).map((i) => (
          <li key={keyOf(i)} style={{ top: `${i * height}px`, height: `${height}px` }} aria-setsize={rows} aria-posinset={i + 1}>
            {row(i)}
          </li>
        ))}
      </ul>
    </div>
  );
}

interface GridProps {
  cells: number;
  width: number; // of a cell, at least
  height: number;
  keyOf: (i: number) => string;
  cell: (i: number) => ComponentChildren;
  seen?: (first: number, last: number) => void;
  moved?: Spot;
  label: string;
}

/** VirtualGrid is a VirtualList of rows with as many cells as there is room for. */
export function VirtualGrid({ cells, width, height, keyOf, cell, seen, moved, label }: GridProps) {
  const box = useRef<HTMLDivElement>(null);
  const [columns, setColumns] = useState(0);
  useLayoutEffect(() => {
    const measure = () => setColumns(Math.max(1, Math.floor((box.current!.clientWidth - 24) / width)));
    const observer = new ResizeObserver(measure);
    observer.observe(box.current!);
    measure();
    return () => observer.disconnect();
  }, [width]);
  const [shift, setShift] = useState<Spot>();
  useLayoutEffect(() => {
    if (moved && columns > 0) setShift({ from: Math.floor(moved.from / columns), to: Math.floor(moved.to / columns) });
  }, [moved]);
  const cellsOf = (row: number): number[] => Array.from({ length: Math.min(columns, cells - row * columns) }, (_, i) => row * columns + i);
  return (
    <div class="grid-box" ref={box}>
      {columns > 0 && (
        <VirtualList rows={Math.ceil(cells / columns)} height={height} keyOf={(row) => `row ${row}`} label={label} moved={shift}
          seen={(first, last) => seen?.(first * columns, Math.min(cells, (last + 1) * columns) - 1)}
          row={(row) => (
            <div class="grid-row" style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}>
              {cellsOf(row).map((i) => <div key={keyOf(i)}>{cell(i)}</div>)}
            </div>
          )} />
      )}
    </div>
  );
}
