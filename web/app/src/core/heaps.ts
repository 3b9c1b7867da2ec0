// The heaps of the account, and what their lists show of blocks. What was seen once is
// kept in this browser, and shown without a network too.

import { signal } from "@preact/signals";
import * as api from "./api";
import { done, load, remove, save, transaction } from "./db";
import { online } from "./session";
import { tagsOf } from "./labels";

export type Role = "owner" | "editor" | "commenter" | "viewer";

export interface Heap {
  id: string;
  name: string;
  role: Role;
  owner: string;
  created_at: number;
  updated_at: number;
  blocks: number;
  storage_bytes: number;
}

export interface FileInfo {
  hash: string;
  name: string;
  size: number;
  mime: string;
  width?: number;
  height?: number;
  duration?: number;
  thumbhash?: string;
}

/** Range is from where to where in a text. */
export type Range = [from: number, to: number];

/** Block is what lists show of one. */
export interface Block {
  block_id: string;
  type: string;
  title: string;
  snippet?: string;
  matches?: Range[]; // in the snippet, of what was searched
  title_matches?: Range[];
  updated_at: number;
  created_at: number;
  size: number;
  parent: string | null;
  children: number;
  apps: Record<string, unknown>;
  file?: FileInfo | null;
  trashed_at: number | null;
}

export interface Query {
  type?: string;
  parent?: string;
  query?: string;
  tag?: string;
  trashed?: boolean;
  sort?: string;
}

export interface Page {
  blocks: Block[];
  next_cursor: string | null;
  total?: number; // on all pages, if the page was asked for by its place
}

export const heaps = signal<Heap[] | undefined>(undefined);

export const mayEdit = (heap: Heap | undefined): boolean => heap?.role === "owner" || heap?.role === "editor";

export const heapOf = (id: string): Heap | undefined => heaps.value?.find((h) => h.id === id);

/** reach runs a request, and notes whether the server could be reached. */
export async function reach<T>(request: () => Promise<T>): Promise<T> {
  try {
    const answer = await request();
    online.value = true;
    return answer;
  } catch (err) {
    if (err instanceof api.Offline) online.value = false;
    else if (err instanceof api.Problem) online.value = true;
    throw err;
  }
}

/** loadHeaps shows what is known at once, and then what the server says. */
export async function loadHeaps(): Promise<void> {
  if (!heaps.value) {
    const known = await transaction(["heaps"], "readonly", (at) => done(at("heaps").getAll() as IDBRequest<Heap[]>));
    if (known.length > 0) heaps.value = byName(known);
  }
  try {
    const found = byName((await reach(() => api.post<{ heaps: Heap[] }>("/api/heaps"))).heaps);
    heaps.value = found;
    await transaction(["heaps"], "readwrite", (at) => {
      at("heaps").clear();
      for (const heap of found) at("heaps").put(heap);
    });
  } catch (err) {
    if (!(err instanceof api.Offline)) throw err;
    heaps.value ??= [];
  }
}

const byName = (list: Heap[]): Heap[] => list.toSorted((a, b) => a.name.localeCompare(b.name));

export async function addHeap(name: string): Promise<Heap> {
  const heap = await reach(() => api.post<Heap>("/api/heap/add", { name }));
  heaps.value = byName([...(heaps.value ?? []), heap]);
  await save("heaps", heap);
  return heap;
}

export async function renameHeap(id: string, name: string): Promise<void> {
  await reach(() => api.call("PATCH", `/api/heap/${encodeURIComponent(id)}`, { name }));
  heaps.value = byName((heaps.value ?? []).map((h) => (h.id === id ? { ...h, name } : h)));
}

export async function deleteHeap(id: string): Promise<void> {
  await reach(() => api.call("DELETE", `/api/heap/${encodeURIComponent(id)}`));
  heaps.value = heaps.value?.filter((h) => h.id !== id);
  await remove("heaps", id);
}

interface Known extends Block {
  heap: string;
  id: string;
}

/** list returns a page of a heap's blocks; without a network, what is known of them. */
export async function list(heap: string, query: Query, cursor: string | null, limit = 100): Promise<Page> {
  try {
    for (;;) {
      const page = await reach(() => api.post<Page>("/api/heap", { heap_id: heap, ...asked(query), limit, cursor: cursor ?? undefined }));
      void remember(heap, page.blocks).catch(forgotten);
      const blocks = query.tag ? page.blocks.filter((b) => tagsOf(b.apps).includes(query.tag!)) : page.blocks;
      if (blocks.length > 0 || !page.next_cursor) return { blocks, next_cursor: page.next_cursor };
      cursor = page.next_cursor;
    }
  } catch (err) {
    if (!(err instanceof api.Offline)) throw err;
    return cursor ? { blocks: [], next_cursor: null } : { blocks: await known(heap, query), next_cursor: null };
  }
}

/** Found is a block of any heap. */
export type Found = Block & { heap_id: string };

/** search finds the hundred best blocks of all heaps; without a network, among those that were seen here. */
export async function search(query: string): Promise<Found[]> {
  try {
    return (await reach(() => api.post<{ blocks: Found[] }>("/api/search", { query }))).blocks;
  } catch (err) {
    if (!(err instanceof api.Offline)) throw err;
    const lists = await Promise.all((heaps.value ?? []).map(async ({ id }) => (await known(id, { query })).map((b) => ({ ...b, heap_id: id }))));
    return lists.flat().slice(0, 100);
  }
}

/** isPlaced says whether the list of a query can be read from anywhere. */
export const isPlaced = (query: Query): boolean => !query.query && !query.tag;

/** listFrom returns the page of a list that begins after so many blocks. */
export async function listFrom(heap: string, query: Query, skip: number, limit: number): Promise<Page> {
  try {
    const page = await reach(() => api.post<Page>("/api/heap", { heap_id: heap, ...query, limit, skip }));
    void remember(heap, page.blocks).catch(forgotten);
    return page;
  } catch (err) {
    if (!(err instanceof api.Offline)) throw err;
    const all = await known(heap, query);
    return { blocks: all.slice(skip, skip + limit), next_cursor: null, total: all.length };
  }
}

/** asked is a query as the server takes it: it finds tags as it finds words, and others that have the word as well. */
function asked({ tag, ...query }: Query): Query {
  if (!tag || !/[\p{L}\p{N}\p{So}]/u.test(tag)) return query;
  return { ...query, query: `"${tag.replaceAll('"', " ")}" ${query.query ?? ""}`.trim(), sort: query.sort ?? (query.query ? undefined : "updated_at") };
}

// A list is shown, whatever becomes of its copy.
const forgotten = (err: unknown): void => console.warn("a list is not kept for offline:", err);

/** How many blocks are stored at a time: more would hold up what somebody does meanwhile. */
const some = 50;

/** remember keeps what lists show of blocks. */
export async function remember(heap: string, blocks: Block[]): Promise<void> {
  for (let i = 0; i < blocks.length; i += some) {
    await transaction(["blocks"], "readwrite", (at) => {
      for (const b of blocks.slice(i, i + some)) at("blocks").put({ ...b, matches: undefined, title_matches: undefined, heap, id: b.block_id } satisfies Known);
    });
  }
}

export const knownBlock = (heap: string, id: string): Promise<Block | undefined> => load<Known>("blocks", [heap, id] as IDBValidKey);

async function known(heap: string, query: Query): Promise<Block[]> {
  const all = await transaction(["blocks"], "readonly", (at) =>
    done(at("blocks").getAll(IDBKeyRange.bound([heap, ""], [heap, "\uffff"])) as IDBRequest<Known[]>),
  );
  const wanted = query.query?.toLocaleLowerCase();
  const fits = (b: Block): boolean =>
    !b.trashed_at === !query.trashed &&
    (query.type === undefined || b.type === query.type) &&
    (query.tag === undefined || tagsOf(b.apps).includes(query.tag)) &&
    (query.parent === undefined || (b.parent ?? "") === query.parent) &&
    (wanted === undefined || b.title.toLocaleLowerCase().includes(wanted));
  const order = query.sort === "title" ? (a: Block, b: Block) => a.title.localeCompare(b.title) : (a: Block, b: Block) => b.updated_at - a.updated_at;
  return all.filter(fits).sort(order);
}
