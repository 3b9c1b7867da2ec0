// Who is signed in, and on which server.

import { signal } from "@preact/signals";
import * as api from "./api";
import { forgetAll, load, remove, save } from "./db";
import type { Kept, Key } from "./keys";

export interface Server {
  name: string;
  version: string;
  public_key: string;
  public_url: string;
  mode: "open" | "approval" | "closed";
  capabilities: string[];
}

export interface Account {
  id: string;
  public_key: string;
  name: string;
  email: string;
  is_admin: boolean;
  usage: { storage_bytes: number; files: number; blocks: number; heaps: number };
  limits: { storage_bytes: number | null; file_bytes: number | null };
}

/** State is what the app shows first of all. */
export type State =
  | { at: "starting" }
  | { at: "new" } // no key in this browser
  | { at: "locked"; kept: Kept } // a passphrase is asked for
  | { at: "pending"; publicKey: string } // an administrator has to approve
  | { at: "refused"; why: string } // somebody who was in before is so no longer
  | { at: "changed"; pinned: string; found: string } // another server than before
  | { at: "in"; publicKey: string };

export const state = signal<State>({ at: "starting" });
export const server = signal<Server | undefined>(undefined);
export const account = signal<Account | undefined>(undefined);

/** online is whether the server was reached when it was tried last. */
export const online = signal(true);

interface Pair {
  access: string;
  refresh: string;
  expiresAt: number;
}

interface Answer {
  success: boolean;
  approval_required?: boolean;
  accessToken: string;
  refreshToken: string;
  expires_at: number;
  server_public_key: string;
  server_url: string;
  server_signature?: string;
}

let key: Key | undefined;
let pair: Pair | undefined;
let renewing: Promise<string | undefined> | undefined;

api.useTokens({
  current: () => (pair && pair.expiresAt - Date.now() > 30_000 ? pair.access : undefined),
  renew: () => {
    renewing ??= renew().finally(() => (renewing = undefined));
    return renewing;
  },
});

/** token is an access token that is still good, for sockets and players. */
export async function token(): Promise<string | undefined> {
  return pair && pair.expiresAt - Date.now() > 30_000 ? pair.access : api.renewTokens();
}

/** One tab at a time renews: a refresh token is good once. */
async function renew(): Promise<string | undefined> {
  if (navigator.locks) return navigator.locks.request("heapsync session", renewAlone);
  return renewAlone();
}

async function renewAlone(): Promise<string | undefined> {
  const shared = await load<Pair>("settings", "session");
  if (shared && shared.expiresAt - Date.now() > 30_000 && shared.access !== pair?.access) {
    pair = shared; // another tab was here
    return pair.access;
  }
  if (shared) {
    try {
      return await take(await api.post<Answer>("/api/auth/refresh_token", { refresh_token: shared.refresh }, { anonymous: true }));
    } catch (err) {
      if (!(err instanceof api.Problem) || err.status !== 401) throw err;
      const again = await load<Pair>("settings", "session");
      if (again && again.refresh !== shared.refresh) return (pair = again).access;
    }
  }
  return key ? signIn(key) : undefined;
}

async function take(answer: Answer): Promise<string> {
  pair = { access: answer.accessToken, refresh: answer.refreshToken, expiresAt: answer.expires_at };
  await save("settings", pair, "session");
  return pair.access;
}

/** signIn signs a challenge. It returns nothing while the account waits for approval, or when the server is not the one it was. */
export async function signIn(with_: Key, claim?: string): Promise<string | undefined> {
  key = with_;
  const { challenge } = await api.post<{ challenge: string }>("/api/auth/create_session", { public_key: key.publicKey }, { anonymous: true });
  const nonce = api.randomText();
  const proof = {
    public_key: key.publicKey,
    message: challenge,
    signature: await key.sign(challenge),
    server_challenge: nonce,
    device_name: deviceName(),
    claim: claim || undefined,
  };
  let answer: Answer;
  try {
    answer = await api.post<Answer>("/api/auth/verify_session", proof, { anonymous: true });
  } catch (err) {
    const before = state.value.at;
    if (!(err instanceof api.Problem) || err.status !== 403 || (before !== "in" && before !== "starting" && before !== "refused")) throw err;
    state.value = { at: "refused", why: err.message };
    return undefined;
  }
  if (!(await pin(answer, nonce))) return undefined;
  if (answer.approval_required) {
    state.value = { at: "pending", publicKey: key.publicKey };
    return undefined;
  }
  const access = await take(answer);
  state.value = { at: "in", publicKey: key.publicKey };
  return access;
}

/** pin remembers the server at first sight, and notices when another answers later. */
async function pin(answer: Answer, nonce: string): Promise<boolean> {
  const found = answer.server_public_key;
  const proven =
    answer.approval_required || // which proves nothing yet, and hands out nothing
    (answer.server_signature !== undefined &&
      (await import("./keys")).verify(found, `heapsync server proof\n${answer.server_url}\n${nonce}`, answer.server_signature));
  const pinned = await load<string>("settings", "server");
  if (pinned === undefined && proven) {
    await save("settings", found, "server");
    return true;
  }
  if (pinned === found && proven) return true;
  state.value = { at: "changed", pinned: pinned ?? "", found: proven ? found : `${found} (not proven)` };
  return false;
}

/** trustServer has the server that answers now be pinned, which signing in anew does. */
export async function trustServer(): Promise<void> {
  await remove("settings", "server");
  await remove("settings", "session");
  pair = undefined;
  state.value = { at: "starting" };
  await start();
}

/** retry signs in again with the key that is here, for who waits for approval. */
export async function retry(): Promise<void> {
  if (key && (await signIn(key))) await enter();
}

/** patience is how long (ms) the app waits to hear which server this is, before it opens with what is here. */
const patience = 1500;

/** start finds out who is signed in. It needs no network for somebody who was here before. */
export async function start(): Promise<void> {
  await Promise.race([describe(), new Promise((resolve) => setTimeout(resolve, patience))]);
  if (state.value.at === "changed") return; // nothing of ours is for another server
  const found = await load<Kept>("keys", "account");
  if (!found) {
    state.value = { at: "new" };
    return;
  }
  const shared = await load<Pair>("settings", "session");
  if (found.kind === "passphrase") {
    if (!shared) {
      state.value = { at: "locked", kept: found };
      return;
    }
  } else {
    key = await (await import("./keys")).unlock(found, "");
  }
  if (shared) state.value = { at: "in", publicKey: found.publicKey };
  await enter();
}

/** enter signs in, or goes on without the server. */
export async function enter(): Promise<void> {
  try {
    account.value = await api.get<Account>("/api/me");
    online.value = true;
  } catch (err) {
    if (err instanceof api.Offline) {
      online.value = false;
    } else if (err instanceof api.Problem && err.status === 401) {
      if (state.value.at === "in" || state.value.at === "starting") {
        const found = await load<Kept>("keys", "account");
        if (found) state.value = { at: "locked", kept: found };
      }
    } else {
      throw err;
    }
  }
}

async function describe(): Promise<void> {
  try {
    server.value = await api.get<Server>("/api/", { anonymous: true });
    online.value = true;
    const found = server.value.public_key;
    const pinned = await load<string>("settings", "server");
    if (pinned !== undefined && pinned !== found) state.value = { at: "changed", pinned, found };
  } catch (err) {
    if (!(err instanceof api.Offline)) throw err;
    online.value = false;
  }
}

/** signOut revokes the session and empties this browser. */
export async function signOut(): Promise<void> {
  try {
    await api.post("/api/auth/logout");
  } catch {
    // offline: the session ends by itself, and nothing of it is left here
  }
  key = pair = undefined;
  account.value = undefined;
  await forgetAll();
  state.value = { at: "new" };
}

function deviceName(): string {
  const agent = navigator.userAgent;
  const browser = /Firefox|Edg|OPR|Chrome|Safari/.exec(agent)?.[0]?.replace("Edg", "Edge").replace("OPR", "Opera") ?? "Browser";
  const system = /Android|iPhone|iPad|Windows|Mac OS|Linux/.exec(agent)?.[0] ?? "";
  return system ? `${browser} on ${system}` : browser;
}
