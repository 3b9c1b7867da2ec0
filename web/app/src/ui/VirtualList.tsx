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
