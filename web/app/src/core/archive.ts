// Heaps as zip archives, in and out.

import * as api from "./api";
import { reach } from "./heaps";

export interface Imported {
  imported: number;
  failed?: { name: string; code: string }[];
}

const path = (heap: string, what: string): string => `/api/heap/${encodeURIComponent(heap)}/${what}`;

/** importInto puts what is in an archive into a heap: notes of Markdown, or an export. */
export async function importInto(heap: string, archive: Blob): Promise<Imported> {
  const answer = await reach(() => api.send("POST", path(heap, "import"), archive, { headers: { "Content-Type": "application/zip" } }));
  if (!answer.ok) throw await api.problemOf(answer);
  return (await answer.json()) as Imported;
}

/** exportOf has the browser save a heap as an archive. */
export async function exportOf(heap: string, name: string): Promise<void> {
  const answer = await reach(() => api.send("GET", path(heap, "export")));
  if (!answer.ok) throw await api.problemOf(answer);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = `${name.replace(/[\\/:*?"<>|]/g, "_") || "heap"}.zip`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
