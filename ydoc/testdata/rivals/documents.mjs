// Times Yjs and ywasm on the work of ydoc's BenchmarkDocument.
// Prints one JSON object: name → { yjs, ywasm }, each { best, median } milliseconds of a
// few runs.
import * as Y from 'yjs'
import { createRequire } from 'node:module'
import { traceUpdates, tracePatches } from './traces.mjs'

const W = createRequire(import.meta.url)('ywasm')
const { updates } = traceUpdates('automerge-paper')
const edits = 6000

function time (runs, f) {
  const ms = []
  for (let i = 0; i < runs; i++) {
    const start = process.hrtime.bigint()
    f()
    ms.push(Number(process.hrtime.bigint() - start) / 1e6)
  }
  ms.sort((a, b) => a - b)
  return { best: ms[0], median: ms[ms.length >> 1] }
}

// The two libraries, as far as they differ here.
const yjs = {
  doc: id => { const d = new Y.Doc(); d.clientID = id; return d },
  apply: Y.applyUpdate,
  encode: Y.encodeStateAsUpdate,
  vector: Y.encodeStateVector,
  onUpdate: (d, f) => d.on('update', f),
  insert: (t, at, s) => t.insert(at, s),
  remove: (t, at, n) => t.delete(at, n),
  set: (m, k, v) => m.set(k, v),
  free: () => {}
}
const ywasm = {
  doc: id => new W.YDoc({ clientID: id }),
  apply: W.applyUpdate,
  encode: W.encodeStateAsUpdate,
  vector: W.encodeStateVector,
  onUpdate: (d, f) => d.onUpdate(f),
  insert: (t, at, s) => t.insert(at, s),
  remove: (t, at, n) => t.delete(at, n),
  set: (m, k, v) => m.set(k, v),
  free: d => d.free()
}

function random () { // what it draws differs from ydoc's, not how
  let seed = 1
  return n => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor(seed / 4294967296 * n)
  }
}

function rows (L, runs) {
  const load = list => {
    const d = L.doc(1 << 20)
    for (const u of list) L.apply(d, u)
    return d
  }
  const full = load(updates)
  const state = L.encode(full)
  const loaded = load([state])
  const end = Y.decodeStateVector(L.vector(loaded)).get(1)
  const half = Y.encodeStateVector(new Map([[1, Math.floor(end / 2)]]))
  const concurrent = edit => Array.from({ length: 1549 }, (_, i) => {
    const d = L.doc(i + 1)
    edit(d)
    const u = L.encode(d)
    L.free(d)
    return u
  })
  const texts = concurrent(d => L.insert(d.getText('text'), 0, 'x'))
  const maps = concurrent(d => L.set(d.getMap('map'), 'v', 1))
  const many = load(texts)
  const pair = edit => {
    const a = L.doc(1)
    const b = L.doc(2)
    L.onUpdate(a, u => L.apply(b, u))
    const text = a.getText('text')
    for (let i = 0; i < edits; i++) edit(i, text)
    L.free(a)
    L.free(b)
  }
  const twoWriters = () => {
    const int = random()
    const made = [[], []]
    const docs = [1, 2].map((id, w) => {
      const d = L.doc(id)
      L.onUpdate(d, u => made[w].push(u))
      const text = d.getText('text')
      for (let i = 0; i < edits; i++) L.insert(text, int(i + 1), 'a')
      return d
    })
    const mine = made.map(m => m.slice())
    docs.forEach((d, w) => { for (const u of mine[1 - w]) L.apply(d, u) })
    docs.forEach(L.free)
  }
  const drop = f => () => L.free(f())
  const times = {
    'B4/apply': time(runs, drop(() => load(updates))),
    'B4/apply-emitting': time(runs, drop(() => {
      const d = L.doc(1 << 20)
      L.onUpdate(d, () => {})
      for (const u of updates) L.apply(d, u)
      return d
    })),
    'B4/load': time(10 * runs, drop(() => load([state]))),
    'B4/encode': time(10 * runs, () => L.encode(loaded)),
    'B4/diff-half': time(10 * runs, () => L.encode(loaded, half)),
    'state-vector-1549': time(10 * runs, () => L.vector(many)),
    'B1/append': time(runs, () => pair((i, t) => L.insert(t, i, 'a'))),
    'B1/prepend': time(runs, () => pair((_, t) => L.insert(t, 0, 'a'))),
    'B1/random': time(runs, () => { const int = random(); pair((i, t) => L.insert(t, int(i + 1), 'a')) }),
    'B2/two-writers': time(runs, twoWriters),
    'B3/text': time(runs, drop(() => load(texts))),
    'B3/map': time(runs, drop(() => load(maps)))
  }
  const patches = tracePatches('automerge-paper')
  times['B4/type'] = time(1, () => {
    const d = L.doc(1)
    const text = d.getText('text')
    for (const [at, deleted, inserted] of patches) {
      if (deleted > 0) L.remove(text, at, deleted)
      if (inserted !== '') L.insert(text, at, inserted)
    }
    L.free(d)
  })
  return times
}

const runs = Number(process.env.RUNS ?? 3)
const ours = rows(yjs, runs)
let theirs = {}
try {
  theirs = rows(ywasm, runs)
} catch (err) {
  console.error(`ywasm: ${err.stack ?? err}`)
}
console.log(JSON.stringify({ times: Object.fromEntries(Object.keys(ours).map(name => [name, { yjs: ours[name], ywasm: theirs[name] }])) }))
