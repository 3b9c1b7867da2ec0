// Makes ../vectors/sessions.json: random sessions of Yjs clients step by step, with every
// update and the outcome, in the words of yjs-vectors.json.
//
//   npm ci --ignore-scripts && node corpus.mjs
import { readFileSync, writeFileSync } from 'node:fs'
import * as Y from 'yjs'
import { declare, hex, read } from './describe.mjs'
import { editor, random } from './edits.mjs'

// Without it, Yjs adds edits of its own after remote changes.
Object.defineProperty(Y.Text.prototype, '_hasFormatting', { get: () => false, set () {} })

function session (seed) {
  const rnd = random(seed)
  const int = n => Math.floor(rnd() * n)
  const n = 1 + int(3)
  const docs = Array.from({ length: n }, (_, i) => ({ id: 'ABC'[i], clientID: [1, 2 ** 32 - 5, 300][i], gc: rnd() < 0.6 }))
  const steps = []
  const updates = []
  for (const d of docs) {
    d.doc = declare(new Y.Doc({ gc: d.gc }))
    d.doc.clientID = d.clientID
    d.edit = editor(d.doc, rnd, false)
    d.doc.on('update', v1 => updates.push({ doc: d.id, v1: hex(v1) }))
    d.doc.on('updateV2', v2 => { updates[updates.length - 1].v2 = hex(v2) })
  }
  const sync = (a, b) => {
    steps.push({ sync: [a.id, b.id] })
    Y.applyUpdate(b.doc, Y.encodeStateAsUpdate(a.doc, Y.encodeStateVector(b.doc)))
  }
  for (let i = 3 + int(18); i > 0; i--) {
    const d = docs[int(n)]
    steps.push({ doc: d.id, tx: d.edit() })
    if (n > 1 && rnd() < 0.3) sync(d, docs[int(n)] === d ? docs[(docs.indexOf(d) + 1) % n] : docs[(docs.indexOf(d) + 1) % n])
  }
  for (const d of docs.slice(1)) sync(d, docs[0])
  const { doc } = docs[0]
  return {
    name: 'session-' + seed,
    docs: docs.map(({ id, clientID, gc }) => ({ id, clientID, gc })),
    declaredRoots: { t: 'text', m: 'map', a: 'array', x: 'xmlFragment', xt: 'text' },
    steps,
    updates,
    v1: hex(Y.encodeStateAsUpdate(doc)),
    v2: hex(Y.encodeStateAsUpdateV2(doc)),
    stateVector: hex(Y.encodeStateVector(doc)),
    snapshotV1: hex(Y.encodeSnapshot(Y.snapshot(doc))),
    snapshotV2: hex(Y.encodeSnapshotV2(Y.snapshot(doc))),
    read: read(doc)
  }
}

const { version } = JSON.parse(readFileSync(new URL('node_modules/yjs/package.json', import.meta.url)))
const documents = Array.from({ length: 80 }, (_, i) => session(i + 1))
writeFileSync(new URL('../vectors/sessions.json', import.meta.url),
  `{"generator":"yjs ${version}, testdata/interop/corpus.mjs","documents":[\n${documents.map(d => JSON.stringify(d)).join(',\n')}\n]}\n`)
