// The socket over which open documents are synced.

import { effect, signal, type Signal } from "@preact/signals";
import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider";
import type { Awareness } from "y-protocols/awareness";
import { openDocument, type OpenDocument } from "./documents";
import { online, token } from "./session";

/** Link is how a document stands with the server. */
export type Link = "connecting" | "live" | "readonly" | "refused";

export interface LiveDocument extends OpenDocument {
  readonly awareness: Awareness;
  readonly link: Signal<Link>;
  /** Why the server refused the document, if it did. */
  readonly reason: Signal<string>;
}

let socket: HocuspocusProviderWebsocket | undefined;

function connect(): HocuspocusProviderWebsocket {
  socket ??= new HocuspocusProviderWebsocket({
    url: location.origin.replace(/^http/, "ws") + "/ws",
    delay: 500,
    maxDelay: 15_000,
    factor: 1.6,
    jitter: true,
    minDelay: 250,
    onStatus: ({ status }) => {
      if (status === "connected") online.value = true;
    },
  });
  return socket;
}

addEventListener("online", () => void socket?.connect());

/** openLive opens a document and keeps it in sync until it is closed. */
export async function openLive(heap: string, id: string): Promise<LiveDocument> {
  const document = await openDocument(heap, id);
  const link = signal<Link>("connecting");
  const reason = signal("");
  const provider = new HocuspocusProvider({
    websocketProvider: connect(),
    name: `${heap}/${id}`,
    document: document.doc,
    token: async () => (await token()) ?? "",
    onAuthenticated: ({ scope }) => (link.value = scope === "readonly" ? "readonly" : "live"),
    onAuthenticationFailed: (failed) => {
      link.value = "refused";
      reason.value = failed.reason;
    },
    onUnsyncedChanges: ({ number }) => {
      if (number === 0 && link.value !== "readonly") document.acknowledged();
    },
    onDisconnect: () => {
      if (link.value !== "refused") link.value = "connecting";
    },
  });
  provider.attach();
  return Object.assign(Object.create(document) as OpenDocument, {
    awareness: provider.awareness!,
    link,
    reason,
    close: () => {
      provider.destroy();
      document.close();
    },
  });
}

/** While the server is away, the socket goes on trying; what is shown follows it. */
effect(() => {
  if (online.value) void socket?.connect();
});
