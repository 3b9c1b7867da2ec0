// What this browser keeps: an IndexedDB database with a few stores, as promises.

const stores = ["keys", "settings", "heaps", "blocks", "documents", "updates", "uploads"] as const;
type Store = (typeof stores)[number];

let opened: Promise<IDBDatabase> | undefined;

function open(): Promise<IDBDatabase> {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("heapsync", 1);
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore("keys");
      db.createObjectStore("settings");
      db.createObjectStore("heaps", { keyPath: "id" });
      db.createObjectStore("blocks", { keyPath: ["heap", "id"] });
      // A document's state, and the updates that are not in it yet.
      db.createObjectStore("documents", { keyPath: ["heap", "id"] });
      db.createObjectStore("updates", { autoIncrement: true }).createIndex("document", ["heap", "id"]);
      db.createObjectStore("uploads", { keyPath: ["heap", "id"] });
    };
    request.onsuccess = () => {
      const db = request.result;
      // Another tab has a newer version of this app: it must not wait for us.
      db.onversionchange = () => db.close();
      resolve(db);
    };
    request.onerror = () => reject(request.error ?? new Error("no storage"));
    request.onblocked = () => reject(new Error("another tab holds an old version of heapsync: close it"));
  });
  return opened;
}

/** transaction resolves with what run returns, once all of it is on disk. */
export async function transaction<T>(
  names: Store[],
  mode: IDBTransactionMode,
  run: (store: (name: Store) => IDBObjectStore) => Promise<T> | T,
): Promise<T> {
  const db = await open();
  const tx = db.transaction(names, mode, { durability: mode === "readwrite" ? "strict" : "default" });
  const ended = new Promise<void>((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error ?? new Error("nothing was saved"));
  });
  ended.catch(() => {}); // who waits hears of it below
  try {
    const result = await run((name) => tx.objectStore(name));
    await ended;
    return result;
  } catch (err) {
    try {
      tx.abort();
    } catch {
      // it has ended already
    }
    throw err;
  }
}

/** done is a request as a promise. */
export function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("storage failed"));
  });
}

export function load<T>(store: Store, key: IDBValidKey): Promise<T | undefined> {
  return transaction([store], "readonly", (at) => done(at(store).get(key) as IDBRequest<T | undefined>));
}

/** save puts a value; key is needed where values have no key of their own. */
export function save(store: Store, value: unknown, key?: IDBValidKey): Promise<void> {
  return transaction([store], "readwrite", (at) => {
    at(store).put(value, key);
  });
}

export function remove(store: Store, key: IDBValidKey): Promise<void> {
  return transaction([store], "readwrite", (at) => {
    at(store).delete(key);
  });
}

/** forgetAll empties this browser. */
export function forgetAll(): Promise<void> {
  return transaction([...stores], "readwrite", (at) => {
    for (const name of stores) at(name).clear();
  });
}
