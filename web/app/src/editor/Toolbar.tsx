import { useEffect, useState } from "preact/hooks";
import type { Editor } from "@tiptap/core";
import {
  BetweenHorizontalEnd, BetweenVerticalEnd, Bold, Code, Grid2x2X, Heading1, Heading2, Italic, List, ListOrdered, ListTodo, Redo2, SquareCode, Strikethrough, Table,
  TableColumnsSplit, TableRowsSplit, TextQuote, Undo2, type IconNode,
} from "lucide";
import { Icon } from "../ui/Icon";

export interface Tool {
  name: string;
  icon: IconNode;
  on?: (e: Editor) => boolean;
  run: (e: Editor) => void;
}

const tools: Tool[] = [
  { name: "Bold", icon: Bold, on: (e) => e.isActive("bold"), run: (e) => e.chain().focus().toggleBold().run() },
  { name: "Italic", icon: Italic, on: (e) => e.isActive("italic"), run: (e) => e.chain().focus().toggleItalic().run() },
  { name: "Strikethrough", icon: Strikethrough, on: (e) => e.isActive("strike"), run: (e) => e.chain().focus().toggleStrike().run() },
  { name: "Code", icon: Code, on: (e) => e.isActive("code"), run: (e) => e.chain().focus().toggleCode().run() },
  { name: "Heading", icon: Heading1, on: (e) => e.isActive("heading", { level: 1 }), run: (e) => e.chain().focus().toggleHeading({ level: 1 }).run() },
  { name: "Smaller heading", icon: Heading2, on: (e) => e.isActive("heading", { level: 2 }), run: (e) => e.chain().focus().toggleHeading({ level: 2 }).run() },
  { name: "List", icon: List, on: (e) => e.isActive("bulletList"), run: (e) => e.chain().focus().toggleBulletList().run() },
  { name: "Numbered list", icon: ListOrdered, on: (e) => e.isActive("orderedList"), run: (e) => e.chain().focus().toggleOrderedList().run() },
  { name: "Tasks", icon: ListTodo, on: (e) => e.isActive("taskList"), run: (e) => e.chain().focus().toggleTaskList().run() },
  { name: "Quote", icon: TextQuote, on: (e) => e.isActive("blockquote"), run: (e) => e.chain().focus().toggleBlockquote().run() },
  { name: "Code block", icon: SquareCode, on: (e) => e.isActive("codeBlock"), run: (e) => e.chain().focus().toggleCodeBlock().run() },
];

const table: Tool = { name: "Table", icon: Table, run: (e) => e.chain().focus().insertTable({ rows: 3, cols: 3, withHeaderRow: true }).run() };

/** What can be done in a table. */
const inTable: Tool[] = [
  { name: "Add a row below", icon: BetweenHorizontalEnd, run: (e) => e.chain().focus().addRowAfter().run() },
  { name: "Add a column after", icon: BetweenVerticalEnd, run: (e) => e.chain().focus().addColumnAfter().run() },
  { name: "Delete the row", icon: TableRowsSplit, run: (e) => e.chain().focus().deleteRow().run() },
  { name: "Delete the column", icon: TableColumnsSplit, run: (e) => e.chain().focus().deleteColumn().run() },
  { name: "Delete the table", icon: Grid2x2X, run: (e) => e.chain().focus().deleteTable().run() },
];

const last: Tool[] = [
  { name: "Undo", icon: Undo2, run: (e) => e.chain().focus().undo().run() },
  { name: "Redo", icon: Redo2, run: (e) => e.chain().focus().redo().run() },
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
      {[...tools, ...(editor.isActive("table") ? inTable : [table]), ...more, ...last].map((tool, i) => (
        <button
          key={tool.name} type="button" class="plain" title={tool.name} aria-label={tool.name} aria-pressed={tool.on?.(editor)} tabIndex={i === 0 ? 0 : -1}
          onMouseDown={(e) => e.preventDefault()} onClick={() => tool.run(editor)}
        >
          <Icon of={tool.icon} />
        </button>
      ))}
    </div>
  );
}
