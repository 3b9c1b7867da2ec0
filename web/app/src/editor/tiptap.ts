// The editor: Tiptap over the document's fragment "default", which the server reads as well.

import { Editor } from "@tiptap/core";
import StarterKit from "@tiptap/starter-kit";
import { Collaboration } from "@tiptap/extension-collaboration";
import { CollaborationCaret } from "@tiptap/extension-collaboration-caret";
import { TaskItem, TaskList } from "@tiptap/extension-list";
import { TableKit } from "@tiptap/extension-table";
import { Placeholder } from "@tiptap/extensions";
import type { LiveDocument } from "../core/live";
import { BlockImage } from "./BlockImage";
import { Brackets } from "./links";

/** Wishes are what the text asks of what is around it. */
export interface Wishes {
  link: () => void; // a block to link to
  files: (files: File[], at?: number) => void; // to be taken in
}

export function makeEditor(element: HTMLElement, live: LiveDocument, user: { name: string; color: string }, wishes: Wishes): Editor {
  const take = (editable: boolean, from: DataTransfer | null, at?: number): boolean => {
    const files = [...(from?.files ?? [])];
    // Programs that copy text often copy a picture of it as well.
    if (!editable || files.length === 0 || from?.types.includes("text/html")) return false;
    wishes.files(files, at);
    return true;
  };
  return new Editor({
    element,
    injectCSS: false, // the policy of the page has no room for styles of scripts
    editorProps: {
      attributes: { "aria-label": "Text", role: "textbox", "aria-multiline": "true", spellcheck: "true" },
      handlePaste: (view, event) => take(view.editable, event.clipboardData),
      handleDrop: (view, event, _, moved) => !moved && take(view.editable, event.dataTransfer, view.posAtCoords({ left: event.clientX, top: event.clientY })?.pos),
    },
    extensions: [
      StarterKit.configure({ undoRedo: false, link: { openOnClick: false, protocols: ["http", "https", "mailto"] } }),
      TaskList,
      TaskItem.configure({ nested: true }),
      TableKit.configure({ table: { resizable: false } }),
      BlockImage.configure({ heap: live.heap }),
      Brackets.configure({ ask: wishes.link }),
      Placeholder.configure({ placeholder: "Write…" }),
      Collaboration.configure({ document: live.doc, field: "default" }),
      CollaborationCaret.configure({ provider: { awareness: live.awareness }, user, render: caret }),
    ],
  });
}

/** caret is where somebody else is. Its colour is set by script: the policy allows no style attributes. */
function caret(user: Record<string, unknown>): HTMLElement {
  const at = document.createElement("span");
  at.className = "caret";
  const color = /^#[0-9a-f]{6}$/i.test(String(user.color)) ? String(user.color) : "#555555";
  at.style.setProperty("--caret", color);
  const label = document.createElement("span");
  label.className = "caret-name";
  label.textContent = String(user.name).slice(0, 40);
  at.append(label);
  return at;
}
