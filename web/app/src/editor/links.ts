// Links to other blocks of the heap, as an import of Markdown writes them: an address, and
// a relation in the document, by which the server knows who links to a block.

import { Extension, InputRule, type Editor } from "@tiptap/core";
import * as Y from "yjs";

const prefix = "#block/";

export const addressOf = (block: string): string => prefix + block;

/** targetOf is the block that an address names. */
export function targetOf(address: string): string | undefined {
  const id = address.startsWith(prefix) ? address.slice(prefix.length) : "";
  return /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : undefined;
}

/** targets are the blocks that a text links to or shows. */
function targets(editor: Editor): Set<string> {
  const found = new Set<string>();
  const add = (address: unknown) => {
    const id = typeof address === "string" ? targetOf(address) : undefined;
    if (id) found.add(id);
  };
  editor.state.doc.descendants((node) => {
    if (node.type.name === "image") add(node.attrs.src);
    for (const mark of node.marks) if (mark.type.name === "link") add(mark.attrs.href);
  });
  return found;
}

/** mostRelations is how many the server reads of a document. */
const mostRelations = 1000;

/** followLinks keeps the document's relations as the links say, which are made or removed here. It returns how to stop. */
export function followLinks(editor: Editor, doc: Y.Doc): () => void {
  let before = targets(editor);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const write = () => {
    timer = undefined;
    if (editor.isDestroyed) return;
    const now = targets(editor);
    const gone = [...before].filter((id) => !now.has(id));
    before = now;
    const about = doc.getMap("block");
    const there = about.get("relations");
    const has = (id: string) => there instanceof Y.Map && there.has(id);
    const fresh = [...now].filter((id) => !has(id));
    if (!editor.isEditable || (fresh.length === 0 && gone.length === 0)) return;
    doc.transact(() => {
      const relations: Y.Map<unknown> = there instanceof Y.Map ? (there as Y.Map<unknown>) : new Y.Map<unknown>();
      if (there !== relations) about.set("relations", relations);
      for (const id of fresh) if (relations.size < mostRelations) relations.set(id, { kind: "link", target: id });
      for (const id of gone) {
        const it = relations.get(id);
        const kind = it instanceof Y.Map ? it.get("kind") : (it as { kind?: unknown } | undefined)?.kind;
        if (kind === "link") relations.delete(id);
      }
    });
  };
  // Edits of others are theirs to follow, but what they took away is not missed here.
  const changed = ({ transaction }: { transaction: { docChanged: boolean; getMeta: (key: string) => unknown } }) => {
    if (!transaction.docChanged) return;
    if (transaction.getMeta("y-sync$")) {
      if (timer === undefined) before = targets(editor);
      return;
    }
    timer ??= setTimeout(write, 500);
  };
  editor.on("transaction", changed);
  return () => {
    if (timer !== undefined) {
      clearTimeout(timer);
      write();
    }
    editor.off("transaction", changed);
  };
}

/** Brackets asks for a block when [[ is typed. */
export const Brackets = Extension.create<{ ask: () => void }>({
  name: "brackets",
  addOptions: () => ({ ask: () => {} }),
  addInputRules() {
    const { ask } = this.options;
    return [
      new InputRule({
        find: /\[\[$/,
        handler: ({ range, chain }) => {
          chain().deleteRange(range).run();
          setTimeout(ask);
        },
      }),
    ];
  },
});

/** insertLink makes a link of what is selected, changes the one that is there, or writes a new one with a name. */
export function insertLink(editor: Editor, href: string, name: string): void {
  const chain = editor.chain().focus();
  if (editor.isActive("link")) chain.extendMarkRange("link").setLink({ href }).run();
  else if (!editor.state.selection.empty) chain.setLink({ href }).run();
  else chain.insertContent([{ type: "text", text: name, marks: [{ type: "link", attrs: { href } }] }, { type: "text", text: " " }]).run();
}
