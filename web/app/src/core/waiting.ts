// Which documents have edits that the server lacks. What knows documents is in a chunk of
// its own; this is needed at once.

import { signal } from "@preact/signals";
import { done, transaction } from "./db";

/** Kept is a document on disk. Its state lacks what is in the store of updates. */
export interface Kept {
  heap: string;
  id: string;
  state?: Uint8Array;
  edits: number; // made here, numbered from 1
  safe: number; // up to this number the server has them
  ahead?: number[]; // and these: another tab's come in between
}

/** waiting is how many documents have edits that the server lacks. */
export const waiting = signal(0);

/** unsafe lists them. */
export async function unsafe(): Promise<{ heap: string; id: string }[]> {
  const all = await transaction(["documents"], "readonly", (at) => done(at("documents").getAll() as IDBRequest<Kept[]>));
  return all.filter((kept) => kept.edits > kept.safe).map(({ heap, id }) => ({ heap, id }));
}

/** count finds out anew how many wait. */
export async function count(): Promise<void> {
  waiting.value = (await unsafe()).length;
}
