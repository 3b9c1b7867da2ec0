import * as Y from "yjs";
import { openDocument } from "../core/documents";
import { newID } from "../core/bytes";
import { remember } from "../core/heaps";

export interface Beginning {
  type: "note" | "folder" | "file";
  title?: string;
  parent?: string;
}

/** begin makes a block that holds nothing yet, and returns its id. */
export async function begin(heap: string, { type, title = "", parent }: Beginning): Promise<string> {
  const id = newID();
  const now = Date.now();
  await remember(heap, [{ block_id: id, type, title, updated_at: now, created_at: now, size: 0, parent: parent ?? null, children: 0, apps: {}, trashed_at: null }]);
  const document = await openDocument(heap, id);
  const about = document.doc.getMap("block");
  document.doc.transact(() => {
    about.set("type", type);
    about.set("created_at", now);
    if (title) about.set("title", title);
    if (parent) about.set("parent", parent);
    // Made here, so that two devices which set the first tag at once share one map.
    about.set("apps", new Y.Map([["tags", new Y.Map()]]));
    about.set("relations", new Y.Map());
  });
  document.close();
  return id;
}
