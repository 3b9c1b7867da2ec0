// Edits that were made without the server are pushed when it is there again, also those of
// documents that nobody has open.

import * as Y from "yjs";
import * as api from "./api";
import { fromBase64, toBase64 } from "./bytes";
import { isOpen, openDocument, remote } from "./documents";
import { reach } from "./heaps";
import { online, state } from "./session";
import { count, unsafe } from "./waiting";

interface PushResult {
  block_id: string;
  status: string;
  missing?: string;
  error?: { code: string; detail?: string };
}

/** refused are documents whose edits the server does not take, and why. */
export const refused = new Map<string, string>();

let pushing = false;

/** push sends what waits. Documents that are open send theirs themselves. */
export async function push(): Promise<void> {
  if (pushing || state.value.at !== "in") return;
  pushing = true;
  try {
    for (const { heap, id } of await unsafe()) {
      if (isOpen(heap, id)) continue;
      await pushOne(heap, id);
    }
  } catch (err) {
    if (!(err instanceof api.Offline)) throw err;
  } finally {
    pushing = false;
    await count();
  }
}

/** pushOne sends what the server lacks of a document, and takes what it has. */
export async function pushOne(heap: string, id: string): Promise<void> {
  const document = await openDocument(heap, id);
  try {
    const { results } = await reach(() =>
      api.post<{ results: PushResult[] }>("/api/sync/push", {
        blocks: [
          {
            block_id: id,
            workspace_id: heap,
            state_vector: toBase64(Y.encodeStateVector(document.doc)),
            update: toBase64(Y.encodeStateAsUpdate(document.doc)),
          },
        ],
      }),
    );
    const result = results[0]!;
    if (result.missing) Y.applyUpdate(document.doc, fromBase64(result.missing), remote);
    if (result.status === "applied" || result.status === "duplicate") {
      refused.delete(id);
      document.acknowledged();
    } else {
      refused.set(id, result.error?.detail ?? result.status);
    }
  } finally {
    document.close();
  }
}

/** pushSoon hands a document over that nobody has open. Without a server it waits its turn. */
export function pushSoon(heap: string, id: string): void {
  pushOne(heap, id).catch((err: unknown) => {
    if (!(err instanceof api.Offline)) console.warn(`push ${id}:`, err);
  });
}

/** watch tries again now and then while something waits. */
export function watch(): void {
  void push();
  addEventListener("online", () => void push());
  let wasOnline = online.value;
  online.subscribe((now) => {
    if (now && !wasOnline) void push();
    wasOnline = now;
  });
  setInterval(() => void push(), 20_000);
}
