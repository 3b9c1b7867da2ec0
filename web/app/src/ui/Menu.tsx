import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Ellipsis } from "lucide";
import { Icon } from "./Icon";

/** Menu shows what is seldom needed below a button. Choosing something, Escape, or going elsewhere closes it; dialogs that it opens stay. */
export function Menu({ children }: { children: ComponentChildren }) {
  const [open, setOpen] = useState(false);
  const at = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const elsewhere = (e: Event) => !at.current!.contains(e.target as Node) && setOpen(false);
    document.addEventListener("pointerdown", elsewhere);
    document.addEventListener("focusin", elsewhere);
    return () => {
      document.removeEventListener("pointerdown", elsewhere);
      document.removeEventListener("focusin", elsewhere);
    };
  }, [open]);
  const key = (e: KeyboardEvent) => {
    if (e.key !== "Escape" || !open) return;
    setOpen(false);
    button.current!.focus();
  };
  return (
    <div ref={at} class="more" onKeyDown={key}>
      <button ref={button} aria-expanded={open} aria-label="More" title="More" onClick={() => setOpen(!open)}><Icon of={Ellipsis} /></button>
      <div class={`more-list ${open ? "open" : ""}`} onClick={(e) => (e.target as Element).closest("button, a") && setOpen(false)}>{children}</div>
    </div>
  );
}
