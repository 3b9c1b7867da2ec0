import type { Editor } from "@tiptap/core";
import { add } from "../core/uploads";
import { addressOf } from "./links";

/** attach uploads files as blocks below a note, and shows or links them where the note says so. */
export async function attach(editor: Editor, heap: string, note: string, files: File[], at?: number): Promise<void> {
  const ids = await add(heap, files, note);
  const content = files.map((file, i) => {
    const address = addressOf(ids[i]!);
    if (file.type.startsWith("image/")) return { type: "image", attrs: { src: address, alt: file.name } };
    return { type: "paragraph", content: [{ type: "text", text: file.name, marks: [{ type: "link", attrs: { href: address } }] }] };
  });
  if (editor.isDestroyed) return;
  const end = editor.state.doc.content.size;
  editor.chain().focus().insertContentAt(Math.min(at ?? editor.state.selection.to, end), content).run();
}
