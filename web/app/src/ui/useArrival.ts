import { useEffect, useRef } from "preact/hooks";
import type { Place } from "../core/router";

/** patience (ms) is how long a page may take to have a heading. */
const patience = 5_000;

/** useArrival moves the focus to the heading of a page that one has gone to, so that the keyboard goes on there and screen readers say where one is. */
export function useArrival(at: Place): void {
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    const main = document.getElementById("main")!;
    const was = document.activeElement;
    const arrive = (): boolean => {
      const now = document.activeElement;
      if (now !== was && now !== document.body) return true; // somebody is quicker
      const heading = main.querySelector<HTMLElement>("h1");
      if (!heading) return false;
      heading.tabIndex = -1;
      heading.focus();
      return true;
    };
    let observer: MutationObserver | undefined;
    const end = () => observer?.disconnect();
    const frame = requestAnimationFrame(() => {
      if (arrive()) return;
      observer = new MutationObserver(() => arrive() && end());
      observer.observe(main, { childList: true, subtree: true });
    });
    const timer = setTimeout(end, patience);
    return () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      end();
    };
  }, [at]);
}
