import type { ComponentChildren } from "preact";
import { X } from "lucide";
import { useEffect, useId, useRef } from "preact/hooks";
import { Icon } from "./Icon";

/** Dialog is a window over the page. The browser keeps the focus in it, and gives it back. */
export function Dialog({ title, close, children }: { title: string; close: () => void; children: ComponentChildren }) {
  const at = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    at.current!.showModal();
  }, []);
  return (
    <dialog ref={at} class="dialog" aria-labelledby={id} onClose={close} onClick={(e) => e.target === at.current && close()}>
      <div class="dialog-body">
        <header>
          <h2 id={id}>{title}</h2>
          <button class="plain" aria-label="Close" onClick={close}><Icon of={X} /></button>
        </header>
        {children}
      </div>
    </dialog>
  );
}
