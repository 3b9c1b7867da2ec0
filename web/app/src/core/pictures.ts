// Pictures of files. They need the token, which belongs into no address: they are fetched,
// and shown from memory.

import * as api from "./api";

const kept = new Map<string, Promise<string | undefined>>();
const most = 500;

let running = 0;
const queue: (() => void)[] = [];

/** Unwanted is a picture that nobody waited for any more when its turn came. */
class Unwanted extends Error {}

/** thumbnail is an address of a picture of a file, or undefined if there is none. It is not asked for if signal says so before its turn. */
export async function thumbnail(heap: string, block: string, hash: string, size: number, signal?: AbortSignal): Promise<string | undefined> {
  for (;;) {
    try {
      return await shared(heap, block, hash, size, signal);
    } catch (err) {
      if (!(err instanceof Unwanted) || signal?.aborted) throw err; // else it was somebody else's
    }
  }
}

function shared(heap: string, block: string, hash: string, size: number, signal?: AbortSignal): Promise<string | undefined> {
  const key = `${hash}/${size}`;
  let found = kept.get(key);
  if (found) {
    kept.delete(key); // to the end: what is used stays
  } else {
    found = load(`/api/file/${encodeURIComponent(block)}/thumbnail/${size}/picture?heap_id=${encodeURIComponent(heap)}`, signal).catch((err: unknown) => {
      kept.delete(key); // to be tried again
      throw err;
    });
  }
  kept.set(key, found);
  for (const [old, address] of kept) {
    if (kept.size <= most) break;
    kept.delete(old);
    void address.then((url) => url && URL.revokeObjectURL(url), () => {});
  }
  return found;
}

async function load(path: string, signal?: AbortSignal): Promise<string | undefined> {
  if (running >= 6) await new Promise<void>((resolve) => queue.push(resolve));
  running++;
  try {
    if (signal?.aborted) throw new Unwanted();
    for (let attempt = 0; ; attempt++) {
      const answer = await api.send("GET", path, null, { headers: { Accept: "image/webp,image/jpeg" } });
      if (answer.status === 503 && attempt < 5) {
        await new Promise((resolve) => setTimeout(resolve, 1000 * (Number(answer.headers.get("Retry-After")) || 2)));
        continue;
      }
      return answer.ok ? URL.createObjectURL(await answer.blob()) : undefined;
    }
  } finally {
    running--;
    queue.pop()?.(); // what was asked for last is what one sees
  }
}

export interface Ticket {
  token: string;
  expires_at: number;
  url: string;
  stream_url: string;
}

/** ticket opens one file to a player, for some hours. */
export const ticket = (heap: string, block: string, ttl = 12 * 3600): Promise<Ticket> =>
  api.post<Ticket>(`/api/file/${encodeURIComponent(block)}/ticket?heap_id=${encodeURIComponent(heap)}`, { ttl, heap_id: heap });

/** here is an address at the server this page came from, whatever the server calls itself. */
export function here(address: string): string {
  const url = new URL(address, location.origin);
  return url.pathname + url.search;
}
