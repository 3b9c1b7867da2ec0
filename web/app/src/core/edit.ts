// Edits of what a document says of itself, without showing it.

import * as Y from "yjs";
import * as api from "./api";
import { fromBase64, toBase64 } from "./bytes";
import { openDocument, remote } from "./documents";
import { reach } from "./heaps";
import { pushOne } from "./outbox";

interface Pulled {
  status: string;
  update?: string;
  state?: string;
}

/** edit changes a block's root map "block". What is not known of the document is asked for first: who sets a key without having seen it may lose to whoever set it before. */
export async function edit(heap: string, id: string, change: (about: Y.Map<unknown>, doc: Y.Doc) => void): Promise<void> {
  const document = await openDocument(heap, id);
  try {
    let offline = false;
    try {
      const answer = await reach(() =>
        api.post<{ blocks: Pulled[] }>("/api/sync/pull", { blocks: [{ block_id: id, workspace_id: heap, state_vector: toBase64(Y.encodeStateVector(document.doc)) }] }),
      );
      const found = answer.blocks[0];
      const news = found?.update ?? found?.state;
      if (news) Y.applyUpdate(document.doc, fromBase64(news), remote);
    } catch (err) {
      if (!(err instanceof api.Offline) || document.doc.getMap("block").size === 0) throw err;
      offline = true;
    }
    const about = document.doc.getMap("block");
    document.doc.transact(() => change(about, document.doc));
    if (!offline) await pushOne(heap, id);
  } finally {
    document.close();
  }
}
