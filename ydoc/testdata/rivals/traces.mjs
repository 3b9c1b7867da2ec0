// Replays the public editing traces in Yjs and caches every emitted update.
//
// usage: node traces.mjs [name ...]
//
// The file <cache>/heapsync/trace-<name>.bin holds the updates in order, each as
// a 32-bit big-endian length and the bytes, and <cache>/heapsync/trace-<name>.state
// holds Y.encodeStateAsUpdate of the final document. The cache is XDG_CACHE_HOME or
// ~/.cache. The traces come from $HEAPSYNC_TESTDATA (default ../shared/testdata
// beside the repository); their licence does not let us copy them.
import * as Y from 'yjs'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')
const testdata = process.env.HEAPSYNC_TESTDATA ?? join(root, '..', 'shared', 'testdata')
export const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'heapsync')
const vectors = JSON.parse(readFileSync(join(root, 'ydoc/testdata/vectors/yjs-vectors.json'), 'utf8'))

export function traceUpdates (name) {
  const file = join(cache, `trace-${name}.bin`)
  if (!existsSync(file)) replay(name, file)
  const bytes = readFileSync(file)
  const updates = []
  for (let at = 0; at < bytes.length;) {
    const n = bytes.readUInt32BE(at)
    updates.push(new Uint8Array(bytes.buffer, bytes.byteOffset + at + 4, n))
    at += 4 + n
  }
  return { updates, state: new Uint8Array(readFileSync(file.replace(/bin$/, 'state'))) }
}

// readTrace returns a trace, and whether it is the real one.
function readTrace (name) {
  const source = join(testdata, 'traces', name + '.json.gz')
  const real = existsSync(source)
  if (!real) console.error(`no ${source}: a synthetic session stands in for ${name}`)
  return { real, trace: real ? JSON.parse(gunzipSync(readFileSync(source))) : synthetic(259_778) }
}

// tracePatches returns the edits of a trace: [index, deleted, inserted].
export const tracePatches = name => readTrace(name).trace.txns.flatMap(t => t.patches)

function replay (name, file) {
  const { real, trace } = readTrace(name)
  const want = real && vectors.traces.traces.find(t => t.name === name)
  const doc = new Y.Doc()
  doc.clientID = 1
  const text = doc.getText('text')
  const out = []
  const hash = createHash('sha256')
  doc.on('update', u => {
    const head = Buffer.alloc(4)
    head.writeUInt32BE(u.length)
    out.push(head, u)
    hash.update(u)
  })
  if (trace.startContent) text.insert(0, trace.startContent)
  for (const txn of trace.txns) {
    for (const [at, deleted, inserted] of txn.patches) {
      if (deleted > 0) text.delete(at, deleted)
      if (inserted !== '') text.insert(at, inserted)
    }
  }
  const sum = hash.digest('hex')
  if (want && want.updatesSha256 !== sum) throw new Error(`${name}: updates hash to ${sum}, the vectors say ${want.updatesSha256}`)
  mkdirSync(cache, { recursive: true })
  writeFileSync(file.replace(/bin$/, 'state'), Y.encodeStateAsUpdate(doc))
  writeFileSync(file + '.part', Buffer.concat(out))
  renameSync(file + '.part', file)
}

// synthetic makes a session of about the same statistics as a paper being written:
// runs of typing, jumps, and three deletions, mostly backwards, in ten edits.
function synthetic (edits) {
  let seed = 1
  const int = n => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor(seed / 4294967296 * n)
  }
  const patches = []
  for (let length = 0, at = 0; patches.length < edits;) {
    if (int(12) === 0) at = int(length + 1)
    if (at > 0 && int(10) < 3) {
      patches.push([--at, 1, ''])
      length--
    } else {
      patches.push([at++, 0, String.fromCharCode(97 + int(26))])
      length++
    }
  }
  return { txns: [{ patches }] }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2)
  for (const name of names.length ? names : ['automerge-paper']) {
    const { updates, state } = traceUpdates(name)
    console.log(`${name}: ${updates.length} updates, state ${state.length} bytes, in ${cache}`)
  }
}
