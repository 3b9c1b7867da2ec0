import { useEffect } from "preact/hooks";
import { server } from "../core/session";

/** useTitle names the page in the browser's tabs and history. */
export function useTitle(title: string): void {
  const name = server.value?.name || "heapsync";
  useEffect(() => void (document.title = title ? `${title} · ${name}` : name), [title, name]);
}
