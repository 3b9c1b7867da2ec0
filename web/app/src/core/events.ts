// What the server tells of heaps: blocks that changed, members, uploads.

import { online, token } from "./session";

export interface HeapEvent {
  event: string;
  heap_id: string;
  at: number;
  block_id?: string;
  [more: string]: unknown;
}

type Listener = (event: HeapEvent) => void;

const listeners = new Map<string, Set<Listener>>();
let socket: WebSocket | undefined;
let wait = 500;
let timer: ReturnType<typeof setTimeout> | undefined;

/** listen calls listener with every event of a heap, and with "again" when some may have been missed. It returns how to stop. */
export function listen(heap: string, listener: Listener): () => void {
  let all = listeners.get(heap);
  if (!all) {
    all = new Set();
    listeners.set(heap, all);
    say({ op: "subscribe", heap_id: heap });
  }
  all.add(listener);
  if (!socket) void connect();
  return () => {
    all.delete(listener);
    if (all.size > 0 || listeners.get(heap) !== all) return;
    listeners.delete(heap);
    say({ op: "unsubscribe", heap_id: heap });
    if (listeners.size === 0) {
      clearTimeout(timer);
      socket?.close();
      socket = undefined;
    }
  };
}

function say(what: Record<string, unknown>): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(what));
}

async function connect(): Promise<void> {
  let access: string | undefined;
  try {
    access = await token();
  } catch {
    return later();
  }
  if (!access || listeners.size === 0 || socket) return;
  const made = new WebSocket(location.origin.replace(/^http/, "ws") + "/ws");
  socket = made;
  let opened = false;
  made.onopen = () => {
    made.send(JSON.stringify({ op: "auth", token: access }));
    for (const heap of listeners.keys()) made.send(JSON.stringify({ op: "subscribe", heap_id: heap }));
    opened = true;
    wait = 500;
    online.value = true;
    for (const heap of listeners.keys()) tell({ event: "again", heap_id: heap, at: Date.now() });
  };
  made.onmessage = ({ data }) => {
    if (typeof data === "string") tell(JSON.parse(data) as HeapEvent);
  };
  made.onclose = () => {
    if (socket !== made) return;
    socket = undefined;
    if (!opened) wait = Math.min(wait * 1.6, 15_000);
    later();
  };
}

function later(): void {
  clearTimeout(timer);
  timer = setTimeout(() => void connect(), wait * (0.5 + Math.random() / 2));
}

function tell(event: HeapEvent): void {
  for (const listener of listeners.get(event.heap_id) ?? []) listener(event);
}

addEventListener("online", () => {
  if (!socket && listeners.size > 0) void connect();
});
