// The key of an account. It is made of a recovery phrase: twelve words of BIP-39, whose
// seed gives the master key of SLIP-0010 for Ed25519. Whoever writes the words down can
// have the same key on any device, in this app or another.

import { ed25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { base58 } from "@scure/base";
import { save } from "./db";
import { utf8 } from "./bytes";

/** Key signs challenges. */
export interface Key {
  readonly publicKey: string; // base58
  sign(message: string): Promise<string>; // base58
}

/** Kept is how the key lies in this browser. */
export type Kept =
  | { kind: "browser"; publicKey: string; key: CryptoKey } // cannot be taken out
  | { kind: "passphrase"; publicKey: string; salt: Uint8Array; nonce: Uint8Array; sealed: Uint8Array };

/** fromSeed is the private key that a seed of BIP-39 stands for. */
export function fromSeed(seed: Uint8Array): Uint8Array {
  return hmac(sha512, utf8("ed25519 seed"), seed).slice(0, 32);
}

export const publicKeyOf = (secret: Uint8Array): string => base58.encode(ed25519.getPublicKey(secret));

/** The beginning of every Ed25519 private key in PKCS #8 (RFC 8410). */
const pkcs8 = Uint8Array.from([0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]);

/** lock gives the secret to the browser, which signs with it and never gives it back; undefined where browsers can not. */
async function lock(secret: Uint8Array): Promise<CryptoKey | undefined> {
  if (!globalThis.crypto?.subtle) return undefined;
  const encoded = new Uint8Array([...pkcs8, ...secret]);
  try {
    return await crypto.subtle.importKey("pkcs8", encoded, { name: "Ed25519" }, false, ["sign"]);
  } catch {
    return undefined; // a browser without Ed25519
  } finally {
    encoded.fill(0);
  }
}

/** needsPassphrase says whether this browser can keep a key only sealed by a passphrase. */
export async function needsPassphrase(): Promise<boolean> {
  return (await lock(new Uint8Array(32).fill(7))) === undefined;
}

/** keep stores the secret in this browser, and returns the key. A passphrase is only used where it is needed. */
export async function keep(secret: Uint8Array, passphrase: string): Promise<Key> {
  const publicKey = publicKeyOf(secret);
  const key = await lock(secret);
  if (key) {
    await save("keys", { kind: "browser", publicKey, key } satisfies Kept, "account");
    return browserKey(publicKey, key);
  }
  const { seal } = await import("./sealed");
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const nonce = crypto.getRandomValues(new Uint8Array(24));
  const sealed = await seal(secret, passphrase, salt, nonce);
  await save("keys", { kind: "passphrase", publicKey, salt, nonce, sealed } satisfies Kept, "account");
  return secretKey(secret);
}

/** unlock makes a key of what is kept. It throws if the passphrase is wrong. */
export async function unlock(at: Kept, passphrase: string): Promise<Key> {
  if (at.kind === "browser") return browserKey(at.publicKey, at.key);
  const { unseal } = await import("./sealed");
  return secretKey(await unseal(at.sealed, passphrase, at.salt, at.nonce));
}

function browserKey(publicKey: string, key: CryptoKey): Key {
  return {
    publicKey,
    sign: async (message) => base58.encode(new Uint8Array(await crypto.subtle.sign("Ed25519", key, utf8(message)))),
  };
}

export function secretKey(secret: Uint8Array): Key {
  return { publicKey: publicKeyOf(secret), sign: async (message) => base58.encode(ed25519.sign(utf8(message), secret)) };
}

/** verify says whether signature (base58) over message is that of publicKey (base58). */
export function verify(publicKey: string, message: string, signature: string): boolean {
  try {
    return ed25519.verify(base58.decode(signature), utf8(message), base58.decode(publicKey), { zip215: false });
  } catch {
    return false;
  }
}
