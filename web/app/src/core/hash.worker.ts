// SHA-256 of a file, piece by piece, away from the page.

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

const piece = 1 << 20;

addEventListener("message", async ({ data: file }: MessageEvent<Blob>) => {
  try {
    const sum = sha256.create();
    for (let at = 0; at < file.size; at += piece) {
      sum.update(new Uint8Array(await file.slice(at, at + piece).arrayBuffer()));
      postMessage({ done: Math.min(at + piece, file.size) });
    }
    postMessage({ hash: bytesToHex(sum.digest()) });
  } catch (err) {
    postMessage({ error: err instanceof Error ? err.message : String(err) });
  }
});
