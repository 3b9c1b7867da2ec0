import { useEffect, useState } from "preact/hooks";

/** useFiles takes files that are dropped on an element or pasted, where allowed. over says that some hover over it. */
export function useFiles(allowed: boolean, take: (files: File[]) => void) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const paste = (e: ClipboardEvent) => {
      if ((e.target as Element).closest?.("input, textarea, [contenteditable]")) return;
      const files = [...(e.clipboardData?.files ?? [])];
      if (allowed && files.length > 0) take(files);
    };
    addEventListener("paste", paste);
    return () => removeEventListener("paste", paste);
  });
  const drag = {
    onDragOver: (e: DragEvent) => {
      if (!allowed || !e.dataTransfer?.types.includes("Files")) return;
      e.preventDefault();
      setOver(true);
    },
    onDragLeave: () => setOver(false),
    onDrop: (e: DragEvent) => {
      setOver(false);
      if (!e.dataTransfer?.files.length) return;
      e.preventDefault();
      if (allowed) take([...e.dataTransfer.files]);
    },
  };
  return { over, drag };
}
