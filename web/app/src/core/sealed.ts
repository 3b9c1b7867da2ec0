// A secret under a passphrase: scrypt and XChaCha20-Poly1305, without WebCrypto, which
// browsers hide from pages that come over plain http.

import { xchacha20poly1305 } from "@noble/ciphers/chacha.js";
import { scryptAsync } from "@noble/hashes/scrypt.js";
import { utf8 } from "./bytes";

const cost = { N: 2 ** 16, r: 8, p: 1, dkLen: 32 }; // 64 MB, about half a second

const keyOf = (passphrase: string, salt: Uint8Array): Promise<Uint8Array> => scryptAsync(utf8(passphrase.normalize("NFKC")), salt, cost);

export async function seal(secret: Uint8Array, passphrase: string, salt: Uint8Array, nonce: Uint8Array): Promise<Uint8Array> {
  return xchacha20poly1305(await keyOf(passphrase, salt), nonce).encrypt(secret);
}

/** unseal throws if the passphrase is another. */
export async function unseal(sealed: Uint8Array, passphrase: string, salt: Uint8Array, nonce: Uint8Array): Promise<Uint8Array> {
  return xchacha20poly1305(await keyOf(passphrase, salt), nonce).decrypt(sealed);
}
