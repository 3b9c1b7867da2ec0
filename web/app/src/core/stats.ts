import { get } from "./api";
import { reach } from "./heaps";

/** HeapStats sums a heap up. */
export interface HeapStats {
  blocks: number; // those in the trash too
  by_type: Record<string, number>; // those that are not
  trashed: number;
  files: number;
  storage_bytes: number;
  updates: number;
  members: number;
  last_change_at: number | null;
  activity: { day: string; updates: number }[];
  disk: { state: number; history: number; updates: number; files: number };
}

export const heapStats = (heap: string): Promise<HeapStats> => reach(() => get<HeapStats>(`/api/heap/stats/${encodeURIComponent(heap)}`));

/** diskParts are what a heap's bytes are of, and diskOf how many. */
export const diskParts = ["Present state", "History", "New edits", "Files"];
export const diskOf = ({ disk }: HeapStats): number[] => [disk.state, disk.history, disk.updates, disk.files];
