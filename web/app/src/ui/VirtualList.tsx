import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Virtualizer, elementScroll, observeElementOffset, observeElementRect } from "@tanstack/virtual-core";

interface Props<T> {
  items: T[];
  height: number; // of a row
  keyOf: (item: T) => string;
  row: (item: T) => ComponentChildren;
  onEnd?: () => void; // the last rows are near
  label: string;
}

/** VirtualList has only those rows in the page that can be seen, however many there are. */
export function VirtualList<T>({ items, height, keyOf, row, onEnd, label }: Props<T>) {
  const scroller = useRef<HTMLDivElement>(null);
  const [, redraw] = useState(0);
  const made = useRef<Virtualizer<HTMLDivElement, Element>>(undefined);
  const options = {
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    getItemKey: (i: number) => keyOf(items[i]!),
    overscan: 8,
    scrollToFn: elementScroll,
    observeElementRect,
    observeElementOffset,
    onChange: () => redraw((n) => n + 1),
  };
  made.current ??= new Virtualizer(options);
  const virtual = made.current;
  virtual.setOptions(options);
  useLayoutEffect(() => virtual._didMount(), []);
  useLayoutEffect(() => virtual._willUpdate());
  const shown = virtual.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  useLayoutEffect(() => {
    if (onEnd && last >= items.length - 40) onEnd();
  }, [last, items.length]);
  return (
    <div class="virtual" ref={scroller} tabIndex={0} role="region" aria-label={label}>
      <ul style={{ height: `${virtual.getTotalSize()}px` }}>
        {shown.map((at) => (
          <li key={at.key} style={{ transform: `translateY(${at.start}px)`, height: `${height}px` }} aria-setsize={items.length} aria-posinset={at.index + 1}>
            {row(items[at.index]!)}
          </li>
        ))}
      </ul>
    </div>
  );
}

interface GridProps<T> {
  items: T[];
  width: number; // of a cell, at least
  height: number;
  keyOf: (item: T) => string;
  cell: (item: T) => ComponentChildren;
  onEnd?: () => void;
  label: string;
}

/** VirtualGrid is a VirtualList of rows with as many cells as there is room for. */
export function VirtualGrid<T>({ items, width, height, keyOf, cell, onEnd, label }: GridProps<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [columns, setColumns] = useState(1);
  useLayoutEffect(() => {
    const measure = () => setColumns(Math.max(1, Math.floor((box.current!.clientWidth - 24) / width)));
    const observer = new ResizeObserver(measure);
    observer.observe(box.current!);
    measure();
    return () => observer.disconnect();
  }, [width]);
  const rows: T[][] = [];
  for (let i = 0; i < items.length; i += columns) rows.push(items.slice(i, i + columns));
  return (
    <div class="grid-box" ref={box}>
      <VirtualList items={rows} height={height} keyOf={(row) => keyOf(row[0]!)} onEnd={onEnd} label={label}
        row={(row) => (
          <div class="grid-row" style={{ gridTemplateColumns: `repeat(${columns}, 1fr)` }}>
            {row.map((item) => <div key={keyOf(item)}>{cell(item)}</div>)}
          </div>
        )} />
    </div>
  );
}
