// Times Yjs's byte functions on the inputs of ydoc's benchmarks.
// Prints one JSON object: name → milliseconds, the best of a few runs.
//
// usage: node rivals.mjs [joined update made by ydoc]
import * as Y from 'yjs'
import { readFileSync } from 'node:fs'
import { traceUpdates } from './traces.mjs'

const { updates, state } = traceUpdates('automerge-paper')
const runs = Number(process.env.RUNS ?? 3)

function best (f) {
  let ms = Infinity
  for (let i = 0; i < runs; i++) {
    const start = process.hrtime.bigint()
    f()
    ms = Math.min(ms, Number(process.hrtime.bigint() - start) / 1e6)
  }
  return ms
}

function batches (n) {
  for (let i = 0; i < updates.length; i += n) Y.mergeUpdates(updates.slice(i, i + n))
}

// Y.mergeUpdates takes minutes for all updates in one call: merge in a tree.
let merged = []
for (let i = 0; i < updates.length; i += 500) merged.push(Y.mergeUpdates(updates.slice(i, i + 500)))
while (merged.length > 1) {
  const next = []
  for (let i = 0; i < merged.length; i += 8) next.push(Y.mergeUpdates(merged.slice(i, i + 8)))
  merged = next
}
const end = Y.decodeStateVector(Y.encodeStateVectorFromUpdate(merged[0])).get(1)
const half = Y.encodeStateVector(new Map([[1, Math.floor(end / 2)]]))

const times = {
  'Merge/10000': best(() => Y.mergeUpdates(updates.slice(0, 10000))),
  'Merge/all-by-100': best(() => batches(100)),
  'Merge/all-by-1000': best(() => batches(1000)),
  'Merged/state-vector/as-yjs': best(() => Y.encodeStateVectorFromUpdate(merged[0])),
  'Merged/diff-half/as-yjs': best(() => Y.diffUpdate(merged[0], half))
}
const sizes = { mergedByYjs: merged[0].length, state: state.length }
if (process.argv[2]) {
  const joined = new Uint8Array(readFileSync(process.argv[2]))
  const doc = new Y.Doc()
  Y.applyUpdate(doc, joined)
  const want = new Y.Doc()
  Y.applyUpdate(want, state)
  if (doc.getText('text').toString() !== want.getText('text').toString()) throw new Error('the merge is another text')
  sizes.mergedByYdoc = joined.length
  times['Merged/state-vector/joined'] = best(() => Y.encodeStateVectorFromUpdate(joined))
  times['Merged/diff-half/joined'] = best(() => Y.diffUpdate(joined, half))
}
console.log(JSON.stringify({ times, sizes, node: process.version }))
