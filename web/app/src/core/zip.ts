// A zip archive of a few small texts, stored as they are.

import { utf8 } from "./bytes";

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes: Uint8Array): number {
  let c = 0xffffffff;
  for (const b of bytes) c = table[(c ^ b) & 255]! ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

/** numbers are little-endian, each of 2 or 4 bytes. */
function numbers(...list: [value: number, size: 2 | 4][]): Uint8Array<ArrayBuffer> {
  const out = new DataView(new ArrayBuffer(list.reduce((sum, [, size]) => sum + size, 0)));
  let at = 0;
  for (const [value, size] of list) {
    if (size === 2) out.setUint16(at, value, true);
    else out.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(out.buffer);
}

/** zip makes an archive of texts by their paths, all of the time that it is now. */
export function zip(texts: Record<string, string>): Blob {
  const now = new Date();
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const day = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  const files: Uint8Array<ArrayBuffer>[] = [];
  const index: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  const entries = Object.entries(texts);
  for (const [path, text] of entries) {
    const name = utf8(path);
    const body = utf8(text);
    // Version 2.0, names in UTF-8, stored.
    const about = numbers([20, 2], [0x800, 2], [0, 2], [time, 2], [day, 2], [crc32(body), 4], [body.length, 4], [body.length, 4], [name.length, 2], [0, 2]);
    files.push(numbers([0x04034b50, 4]), about, name, body);
    index.push(numbers([0x02014b50, 4], [20, 2]), about, numbers([0, 2], [0, 2], [0, 2], [0, 4], [at, 4]), name);
    at += 4 + about.length + name.length + body.length;
  }
  const length = index.reduce((sum, part) => sum + part.length, 0);
  const end = numbers([0x06054b50, 4], [0, 2], [0, 2], [entries.length, 2], [entries.length, 2], [length, 4], [at, 4], [0, 2]);
  return new Blob([...files, ...index, end], { type: "application/zip" });
}
