import { useEffect, useState } from "preact/hooks";
import type { Editor } from "@tiptap/core";

export interface Tool {
  name: string;
  sign: string;
  on: (e: Editor) => boolean;
  run: (e: Editor) => void;
}

const tools: Tool[] = [
  { name: "Bold", sign: "B", on: (e) => e.isActive("bold"), run: (e) => e.chain().focus().toggleBold().run() },
  { name: "Italic", sign: "I", on: (e) => e.isActive("italic"), run: (e) => e.chain().focus().toggleItalic().run() },
  { name: "Strikethrough", sign: "S", on: (e) => e.isActive("strike"), run: (e) => e.chain().focus().toggleStrike().run() },
  { name: "Code", sign: "</>", on: (e) => e.isActive("code"), run: (e) => e.chain().focus().toggleCode().run() },
  { name: "Heading H1", sign: "H1", on: (e) => e.isActive("heading", { level: 1 }), run: (e) => e.chain().focus().toggleHeading({ level: 1 }).run() },
  { name: "Smaller heading H2", sign: "H2", on: (e) => e.isActive("heading", { level: 2 }), run: (e) => e.chain().focus().toggleHeading({ level: 2 }).run() },
  { name: "List", sign: "•", on: (e) => e.isActive("bulletList"), run: (e) => e.chain().focus().toggleBulletList().run() },
  { name: "Numbered list", sign: "№", on: (e) => e.isActive("orderedList"), run: (e) => e.chain().focus().toggleOrderedList().run() },
  { name: "Tasks", sign: "☑", on: (e) => e.isActive("taskList"), run: (e) => e.chain().focus().toggleTaskList().run() },
  { name: "Quote", sign: "❝", on: (e) => e.isActive("blockquote"), run: (e) => e.chain().focus().toggleBlockquote().run() },
  { name: "Code block", sign: "{ }", on: (e) => e.isActive("codeBlock"), run: (e) => e.chain().focus().toggleCodeBlock().run() },
  { name: "Table", sign: "⊞", on: (e) => e.isActive("table"), run: (e) => e.chain().focus().insertTable({ rows: 3, cols: 3, withHeaderRow: true }).run() },
];

const last: Tool[] = [
  { name: "Undo", sign: "↶", on: () => false, run: (e) => e.chain().focus().undo().run() },
  { name: "Redo", sign: "↷", on: () => false, run: (e) => e.chain().focus().redo().run() },
];

/** Toolbar has what can be done with the text; more is what needs something beside it. */
export function Toolbar({ editor, more }: { editor: Editor; more: Tool[] }) {
  const [, redraw] = useState(0);
  useEffect(() => {
    const changed = () => redraw((n) => n + 1);
    editor.on("transaction", changed);
    return () => void editor.off("transaction", changed);
  }, [editor]);
  // Arrow keys go from tool to tool, so that the toolbar is one stop of the tab key.
  const move = (e: KeyboardEvent) => {
    const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const buttons = [...(e.currentTarget as HTMLElement).querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const next = buttons[(at + step + buttons.length) % buttons.length]!;
    buttons.forEach((b) => (b.tabIndex = b === next ? 0 : -1));
    next.focus();
    e.preventDefault();
  };
  return (
    <div class="toolbar" role="toolbar" aria-label="Formatting" onKeyDown={move}>
      {[...tools, ...more, ...last].map((tool, i) => (
        <button
          key={tool.name} type="button" class="plain" title={tool.name} aria-label={tool.name} aria-pressed={tool.on(editor)} tabIndex={i === 0 ? 0 : -1}
          onMouseDown={(e) => e.preventDefault()} onClick={() => tool.run(editor)}
        >
          {tool.sign}
        </button>
      ))}
    </div>
  );
}
