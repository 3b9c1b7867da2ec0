// Tags in a document; see labels.ts for where they stand.

import * as Y from "yjs";
import { clean, ofFrontMatter, plain } from "./labels";

/** appsOf is what a document says of its apps. */
export function appsOf(doc: Y.Doc): Record<string, unknown> {
  const apps = doc.getMap("block").get("apps");
  return plain(apps instanceof Y.Map ? apps.toJSON() : apps);
}

/** shared is the map of this name, made of what stands there if it is none that can be edited together. */
function shared(parent: Y.Map<unknown>, name: string): Y.Map<unknown> {
  const found = parent.get(name);
  if (found instanceof Y.Map) return found;
  const made = new Y.Map<unknown>(Object.entries(plain(found)));
  parent.set(name, made);
  return made;
}

/** setTag puts a tag on a block, or takes it off. */
export function setTag(doc: Y.Doc, tag: string, on: boolean): void {
  const name = clean(tag);
  if (!name) return;
  doc.transact(() => {
    const tags = shared(shared(doc.getMap("block"), "apps"), "tags");
    if (on) tags.set(name, true);
    else if (ofFrontMatter(appsOf(doc)).includes(name)) tags.set(name, false);
    else tags.delete(name);
  });
}
