// The Yjs side of ydoc's interop tests: reads one JSON request a line from standard
// input, writes one JSON answer a line. Updates are hexadecimal.
import * as Y from 'yjs'
import { createInterface } from 'node:readline'

// After remote changes Yjs deletes formatting that has become redundant, and what it
// deletes depends on the order in which updates come. Switched off, documents depend
// on nothing but the set of updates.
if (!process.argv.includes('--cleanup')) Object.defineProperty(Y.Text.prototype, '_hasFormatting', { get: () => false, set () {} })

const hex = b => Buffer.from(b).toString('hex')
const bytes = s => new Uint8Array(Buffer.from(s, 'hex'))

function random (seed) { // mulberry32
  return () => {
    seed = (seed + 0x6D2B79F5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

function declare (doc) {
  doc.getText('t')
  doc.getMap('m')
  doc.getArray('a')
  doc.getXmlFragment('x')
  return doc
}

const plain = v => v instanceof Y.Doc ? { guid: v.guid } : v instanceof Uint8Array ? { bytes: hex(v) } : v

// Yjs removes redundant formatting when it comes to it, so runs may be cut differently.
const same = (a, b) => JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort())

function delta (text) {
  const ops = []
  for (const { insert, attributes = {} } of text.toDelta()) {
    const last = ops[ops.length - 1]
    if (typeof insert === 'string' && typeof last?.insert === 'string' && same(last.attributes, attributes)) last.insert += insert
    else ops.push({ insert: insert instanceof Y.AbstractType ? insert.toJSON() : insert, attributes })
  }
  return ops
}

function read (doc) {
  declare(doc)
  return JSON.stringify({
    t: delta(doc.getText('t')),
    m: Object.fromEntries([...doc.getMap('m').entries()].sort((a, b) => a[0] < b[0] ? -1 : 1).map(([k, v]) => [k, v instanceof Y.AbstractType ? v.toJSON() : plain(v)])),
    a: doc.getArray('a').toArray().map(v => v instanceof Y.AbstractType ? v.toJSON() : plain(v)),
    x: doc.getXmlFragment('x').toString()
  }, (k, v) => {
    if (typeof v === 'bigint') return `${v}n`
    if (v === undefined) return '#undefined'
    if (Object.is(v, -0)) return '#-0'
    if (v instanceof Uint8Array) return hex(v)
    // A map's order of keys depends on the order of integration.
    return v?.constructor === Object ? Object.fromEntries(Object.entries(v).sort((a, b) => a[0] < b[0] ? -1 : 1)) : v
  })
}

const words = ['a', 'b', 'hello', ' ', 'é', '😀', '漢', 'xyz\n', '👩‍👧', 'q']
const values = [0, 1, -1, 1.5, 1e300, 2 ** 40, true, false, null, 'str', '', { k: 1, 10: 'n', 2: [] }, [1, [null]], -0]

function edit (doc, rnd) {
  const int = n => Math.floor(rnd() * n)
  const pick = list => list[int(list.length)]
  const types = [doc.getText('t'), doc.getText('t'), doc.getMap('m'), doc.getArray('a'), doc.getXmlFragment('x')]
  for (const v of doc.getMap('m').values()) if (v instanceof Y.AbstractType) types.push(v)
  for (const v of doc.getArray('a')) if (v instanceof Y.AbstractType) types.push(v)
  for (const v of doc.getXmlFragment('x').toArray()) types.push(v)
  const fresh = () => pick([() => new Y.Map(), () => new Y.Array(), () => new Y.Text('n' + int(9)), () => new Y.XmlElement('p')])()
  doc.transact(() => {
    for (let n = 1 + int(3); n > 0; n--) {
      const type = pick(types)
      if (type instanceof Y.XmlHook) continue
      if (type instanceof Y.Text) {
        const at = int(type.length + 1)
        switch (int(7)) {
          case 0: type.delete(Math.min(at, Math.max(type.length - 1, 0)), Math.min(int(4), type.length - Math.min(at, Math.max(type.length - 1, 0)))); break
          case 1: if (type.length) type.format(Math.min(at, type.length - 1), 1, { bold: pick([true, null]) }); break
          case 2: type.insert(at, pick(words), { color: pick(['red', { deep: [1] }]) }); break
          case 3: type.insertEmbed(at, pick([{ img: 1 }, {}])); break
          default: for (let k = int(4); k >= 0; k--) type.insert(Math.min(at + k, type.length), pick(words))
        }
      } else if (type instanceof Y.Map) {
        const key = pick(['k', 'l', '1', ''])
        switch (int(6)) {
          case 0: type.delete(key); break
          case 1: type.set(key, fresh()); break
          case 2: type.set(key, new Uint8Array([1, int(255)])); break
          case 3: type.set(key, new Y.Doc({ guid: 'g' + int(9), meta: pick([null, { a: 1 }]), gc: rnd() < 0.5 })); break
          case 4: type.set(key, pick([undefined, 12345678901234567890n])); break
          default: type.set(key, pick(values))
        }
      } else if (type instanceof Y.Array) {
        if (int(4) === 0 && type.length) type.delete(int(type.length), 1)
        else if (int(5) === 0) type.insert(int(type.length + 1), [fresh()])
        else type.insert(int(type.length + 1), Array.from({ length: 1 + int(3) }, () => pick(values)))
      } else if (type instanceof Y.XmlElement && int(2)) {
        type.setAttribute(pick(['id', 'cls']), pick(words))
      } else if (type instanceof Y.XmlFragment) {
        if (int(4) === 0 && type.length) type.delete(int(type.length), 1)
        else type.insert(int(type.length + 1), [pick([() => new Y.XmlElement('p'), () => new Y.XmlText('t'), () => new Y.XmlHook('h')])()])
      }
    }
  })
}

// look does what editors do with events.
function look (event) {
  event.path // eslint-disable-line no-unused-expressions
  event.changes.keys.forEach(() => {})
  event.changes.delta.forEach(() => {})
  event.delta.forEach(() => {})
}

// use edits and clears a document, which collects what was in it.
function use (doc) {
  doc.getText('t').insert(0, 'still alive')
  doc.getMap('m').set('k', 'still alive')
  doc.transact(() => {
    for (const type of [doc.getText('t'), doc.getArray('a'), doc.getXmlFragment('x')]) type.delete(0, type.length)
    doc.getMap('m').clear()
  })
  doc.getArray('a').push([new Y.Map()])
  Y.applyUpdate(new Y.Doc(), Y.encodeStateAsUpdate(doc))
}

const peers = {
  // A random session of several clients, who hear of each other late and in part.
  session ({ seed, clients = 3, edits = 60 }) {
    const rnd = random(seed)
    const v1 = []
    const v2 = []
    const docs = Array.from({ length: clients }, (_, i) => {
      const doc = declare(new Y.Doc({ gc: i > 0 }))
      doc.clientID = [1, 300, 2 ** 32 - 5, 2 ** 45 + 1, 7][i]
      doc.on('update', (u, origin) => { if (origin !== 'remote') v1.push(hex(u)) })
      doc.on('updateV2', (u, origin) => { if (origin !== 'remote') v2.push(hex(u)) })
      return doc
    })
    const heard = docs.map(() => new Set())
    for (let i = 0; i < edits; i++) {
      const at = Math.floor(rnd() * clients)
      const from = v1.length
      edit(docs[at], rnd)
      for (let k = from; k < v1.length; k++) heard[at].add(k)
      if (rnd() < 0.3) {
        const to = Math.floor(rnd() * clients)
        for (let k = 0; k < v1.length; k++) {
          if (heard[to].has(k) || rnd() < 0.1) continue
          heard[to].add(k)
          Y.applyUpdate(docs[to], bytes(v1[k]), 'remote')
        }
      }
    }
    const states = docs.map(d => hex(Y.encodeStateAsUpdate(d)))
    const all = declare(new Y.Doc())
    for (const u of v1) Y.applyUpdate(all, bytes(u), 'remote')
    return { v1, v2, states, statesV2: docs.map(d => hex(Y.encodeStateAsUpdateV2(d))), read: read(all), state: hex(Y.encodeStateAsUpdate(all)), merged: hex(Y.mergeUpdates(v1.map(bytes))) }
  },

  // What a new document holds after these updates.
  apply ({ updates, format = 1, gc = true }) {
    const doc = declare(new Y.Doc({ gc }))
    for (const u of updates) (format === 2 ? Y.applyUpdateV2 : Y.applyUpdate)(doc, bytes(u), 'remote')
    return {
      read: read(doc),
      stateVector: hex(Y.encodeStateVector(doc)),
      state: hex(Y.encodeStateAsUpdate(doc)),
      stateV2: hex(Y.encodeStateAsUpdateV2(doc)),
      pending: doc.store.pendingStructs !== null || doc.store.pendingDs !== null
    }
  },

  // How many items Yjs looks at to find places: it puts each in two sets.
  steps ({ state }) {
    const add = Set.prototype.add
    let adds = 0
    Set.prototype.add = function (v) {
      if (v instanceof Y.Item) adds++
      return add.call(this, v)
    }
    try {
      Y.applyUpdate(new Y.Doc(), bytes(state))
    } finally {
      Set.prototype.add = add
    }
    return { steps: adds / 2 }
  },

  // The events of each update, of all types in the roots.
  events ({ updates }) {
    const doc = declare(new Y.Doc())
    const show = v => v instanceof Y.AbstractType ? v.toJSON() : plain(v)
    let now
    for (const [root, type] of doc.share) {
      type.observeDeep(events => {
        for (const e of events) {
          const delta = e.delta.map(op => {
            if (op.insert === undefined) return op
            return { ...op, insert: Array.isArray(op.insert) ? op.insert.map(show) : show(op.insert) }
          })
          const keys = [...e.keys].map(([key, { action, oldValue }]) => ({ key, action, old: action === 'add' ? null : show(oldValue) }))
          now.push({ root, path: e.path, delta, keys: keys.sort((a, b) => a.key < b.key ? -1 : 1) })
        }
      })
    }
    const all = updates.map(u => {
      now = []
      Y.applyUpdate(doc, bytes(u), 'remote')
      return now
    })
    return { events: JSON.stringify(all, (k, v) => typeof v === 'bigint' ? `${v}n` : v === undefined ? '#undefined' : Object.is(v, -0) ? '#-0' : v instanceof Uint8Array ? hex(v) : v) }
  },

  // Does with each input what clients do with updates; answers with the faults.
  poison ({ base, inputs, format = 1 }) {
    const apply = format === 2 ? Y.applyUpdateV2 : Y.applyUpdate
    const merge = format === 2 ? Y.mergeUpdatesV2 : Y.mergeUpdates
    const diff = format === 2 ? Y.diffUpdateV2 : Y.diffUpdate
    const faults = []
    for (const [i, input] of inputs.entries()) {
      const start = Date.now()
      try {
        const u = bytes(input.fresh)
        for (const [on, u] of [[null, bytes(input.fresh)], [base, bytes(input.onBase)]]) {
          const doc = new Y.Doc()
          if (on) {
            Y.applyUpdate(declare(doc), bytes(on))
            for (const type of doc.share.values()) type.observeDeep(events => events.forEach(look))
          }
          apply(doc, u)
          apply(doc, u)
          Y.encodeStateVector(doc)
          Y.applyUpdate(new Y.Doc(), Y.encodeStateAsUpdate(doc))
          Y.applyUpdateV2(new Y.Doc(), Y.encodeStateAsUpdateV2(doc))
          if (on) use(doc)
        }
        merge([u, merge([u, u])])
        diff(u, new Uint8Array([0]))
        format === 2 ? Y.convertUpdateFormatV2ToV1(u) : Y.convertUpdateFormatV1ToV2(u)
      } catch (err) {
        faults.push({ input: i, error: String(err?.stack ?? err).slice(0, 800) })
      }
      if (Date.now() - start > 2000) faults.push({ input: i, error: `took ${Date.now() - start} ms` })
    }
    return { faults }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  let answer
  try {
    answer = peers[request.op](request)
  } catch (err) {
    answer = { error: String(err?.stack ?? err) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
