// Short messages at the edge of the page, which screen readers say.

import { signal } from "@preact/signals";
import { Offline, Problem } from "../core/api";

interface Toast {
  id: number;
  text: string;
  kind: "info" | "error";
}

const toasts = signal<Toast[]>([]);
let last = 0;

export function toast(text: string, kind: Toast["kind"] = "info"): void {
  const id = ++last;
  toasts.value = [...toasts.value.slice(-3), { id, text, kind }];
  setTimeout(() => (toasts.value = toasts.value.filter((t) => t.id !== id)), kind === "error" ? 10_000 : 5_000);
}

/** words are what somebody is told of an error. */
export function words(err: unknown): string {
  if (err instanceof Problem || err instanceof Offline) return err.message;
  console.error(err);
  return err instanceof Error ? err.message : String(err);
}

/** attempt runs something that somebody asked for, and says so if it fails. */
export async function attempt<T>(what: () => Promise<T>): Promise<T | undefined> {
  try {
    return await what();
  } catch (err) {
    toast(words(err), "error");
    return undefined;
  }
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((t) => (
        <p key={t.id} class={`toast ${t.kind}`}>
          {t.text}
        </p>
      ))}
    </div>
  );
}
