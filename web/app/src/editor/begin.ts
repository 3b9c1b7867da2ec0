import { openDocument } from "../core/documents";

/** begin makes a note that is nothing yet but a note. */
export async function begin(heap: string, block: string, parent?: string): Promise<void> {
  const document = await openDocument(heap, block);
  const about = document.doc.getMap("block");
  document.doc.transact(() => {
    about.set("type", "note");
    about.set("created_at", Date.now());
    if (parent) about.set("parent", parent);
  });
  document.close();
}
