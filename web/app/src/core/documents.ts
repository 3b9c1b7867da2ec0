// Documents as this browser keeps them. Every update is written down here as it comes;
// those that were made here are counted until the server has them on its disk.

import { signal, type Signal } from "@preact/signals";
import * as Y from "yjs";
import { done, transaction } from "./db";
import { count, type Kept } from "./waiting";

/** Saved is where the last edit of a document is: nowhere yet, in this browser, or on the server's disk too. */
export type Saved = "saving" | "here" | "server";

interface Update {
  heap: string;
  id: string;
  update: Uint8Array;
}

export interface OpenDocument {
  readonly heap: string;
  readonly id: string;
  readonly doc: Y.Doc;
  readonly saved: Signal<Saved>;
  /** Why edits can not be kept in this browser; "" if they can. */
  readonly trouble: Signal<string>;
  /** acknowledged says that the server has all edits that were made up to now. */
  acknowledged(): void;
  close(): void;
}

/** Remote is the origin of updates that came from the server: they are not edits made here. */
export const remote = Symbol("remote");

const open = new Map<string, Promise<Document> | Document>();

/** mergeAfter is how many updates are kept beside a state. */
const mergeAfter = 200;

/** tabs tell each other what is edited, so that they agree without a server too. */
const tabs = "BroadcastChannel" in globalThis ? new BroadcastChannel("heapsync updates") : undefined;

tabs?.addEventListener("message", ({ data }: MessageEvent<Update>) => {
  const found = open.get(name(data.heap, data.id));
  if (found instanceof Document) Y.applyUpdate(found.doc, data.update, tabs);
});

class Document implements OpenDocument {
  readonly doc = new Y.Doc();
  readonly saved = signal<Saved>("server");
  readonly trouble = signal("");
  users = 0;
  private loaded = 0; // edits with this number, or less, are in doc
  private made = 0; // edits by this tab
  private numbers: number[] = []; // of those that are written, and not counted as safe yet
  private sure = 0; // how many edits by this tab the server has
  private counted = 0; // and of how many that is written down
  private loose = 0; // updates beside the state
  private writing: Promise<void> = Promise.resolve();

  constructor(readonly heap: string, readonly id: string) {}

  async load(): Promise<void> {
    const [kept, updates] = await read(this.heap, this.id);
    this.doc.transact(() => {
      if (kept?.state) Y.applyUpdateV2(this.doc, kept.state, remote);
      for (const u of updates) Y.applyUpdate(this.doc, u.update, remote);
    }, remote);
    this.loaded = kept?.edits ?? 0;
    this.loose = updates.length;
    this.saved.value = this.loaded > (kept?.safe ?? 0) ? "here" : "server";
    this.doc.on("update", this.onUpdate);
  }

  private onUpdate = (update: Uint8Array, origin: unknown, _: Y.Doc, tr: Y.Transaction): void => {
    if (origin === tabs) return; // who sent it keeps it
    if (tr.local) {
      this.made++;
      this.saved.value = "saving";
    }
    const row: Update = { heap: this.heap, id: this.id, update };
    tabs?.postMessage(row);
    const { made } = this;
    this.write(async () => {
      await transaction(["documents", "updates"], "readwrite", async (at) => {
        at("updates").add(row);
        if (tr.local) await this.note(at("documents"), (kept) => this.numbers.push(++kept.edits));
      });
      if (this.made === made && this.saved.value === "saving") this.saved.value = "here";
      if (++this.loose > mergeAfter) await this.merge();
    });
  };

  private write(what: () => Promise<void>): void {
    this.writing = this.writing.then(what).then(
      () => void (this.trouble.value = ""),
      (err: unknown) => {
        this.trouble.value = err instanceof Error ? err.message : "This browser keeps nothing.";
      },
    );
    void this.writing.then(count);
  }

  private async note(documents: IDBObjectStore, change: (kept: Kept) => void): Promise<void> {
    const kept = ((await done(documents.get([this.heap, this.id]))) as Kept | undefined) ?? { heap: this.heap, id: this.id, edits: 0, safe: 0 };
    change(kept);
    documents.put(kept);
  }

  acknowledged(): void {
    const { made } = this;
    this.saved.value = "server";
    if (this.sure === made && this.loaded === 0) return;
    this.sure = made;
    this.write(() =>
      transaction(["documents"], "readwrite", (at) =>
        this.note(at("documents"), (kept) => {
          // An edit counts as safe when all before it are, whichever tab made them.
          const ahead = new Set([...(kept.ahead ?? []), ...this.numbers.splice(0, made - this.counted)]);
          this.counted = made;
          kept.safe = Math.max(kept.safe, this.loaded);
          while (ahead.delete(kept.safe + 1)) kept.safe++;
          kept.ahead = [...ahead].filter((n) => n > kept.safe);
          this.loaded = 0;
        }),
      ),
    );
  }

  /** merge makes one state of all updates. Another tab may have added to them: they are read, not assumed. */
  private async merge(): Promise<void> {
    await transaction(["documents", "updates"], "readwrite", async (at) => {
      const range = IDBKeyRange.only([this.heap, this.id]);
      const index = at("updates").index("document");
      const rows = (await done(index.getAll(range))) as Update[];
      const keys = await done(index.getAllKeys(range));
      const whole = new Y.Doc();
      const kept = (await done(at("documents").get([this.heap, this.id]))) as Kept | undefined;
      if (kept?.state) Y.applyUpdateV2(whole, kept.state);
      for (const row of rows) Y.applyUpdate(whole, row.update);
      at("documents").put({ heap: this.heap, id: this.id, edits: 0, safe: 0, ...kept, state: Y.encodeStateAsUpdateV2(whole) } satisfies Kept);
      for (const key of keys) at("updates").delete(key);
      whole.destroy();
      this.loose = 0;
    });
  }

  close(): void {
    if (--this.users > 0) return;
    void this.writing.then(() => {
      if (this.users > 0) return; // opened again meanwhile
      open.delete(name(this.heap, this.id));
      this.doc.destroy();
    });
  }
}

const name = (heap: string, id: string): string => `${heap}/${id}`;

const read = (heap: string, id: string): Promise<[Kept | undefined, Update[]]> =>
  transaction(["documents", "updates"], "readonly", async (at) => [
    (await done(at("documents").get([heap, id]))) as Kept | undefined,
    (await done(at("updates").index("document").getAll(IDBKeyRange.only([heap, id])))) as Update[],
  ]);

/** openDocument opens a document, which others may have open as well; each closes it once. */
export async function openDocument(heap: string, id: string): Promise<OpenDocument> {
  const key = name(heap, id);
  let found = open.get(key);
  if (!found) {
    const made = new Document(heap, id);
    found = made.load().then(
      () => {
        open.set(key, made);
        return made;
      },
      (err: unknown) => {
        open.delete(key);
        throw err;
      },
    );
    open.set(key, found);
  }
  const document = await found;
  document.users++;
  return document;
}

export const isOpen = (heap: string, id: string): boolean => open.has(name(heap, id));
