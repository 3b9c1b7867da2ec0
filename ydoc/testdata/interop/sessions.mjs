// Random sessions of real Yjs clients, for session_test.go: reads one JSON request a
// line from standard input, writes one JSON answer a line. Bytes are base64.
import * as Y from 'yjs'
import * as ywasm from 'ywasm'
import { createInterface } from 'node:readline'
import { declare, read, roots, value } from './describe.mjs'
import { editor, random } from './edits.mjs'

// After remote changes Yjs deletes formatting that has become redundant, and says so
// in an update of its own. Sessions run with it and without: without it documents
// depend on nothing but the set of updates.
let cleanup = true
const formatted = Symbol('formatted')
Object.defineProperty(Y.Text.prototype, '_hasFormatting', {
  get () { return cleanup && this[formatted] === true },
  set (v) { this[formatted] = v }
})

const base64 = b => Buffer.from(b).toString('base64')
const bytes = s => new Uint8Array(Buffer.from(s, 'base64'))

// A pool holds each update of a session once, in both formats.
class Pool {
  list = []
  add (v1, v2) {
    this.list.push([v1, v2])
    return this.list.length - 1
  }
}

// A Replica is a document and the log of what was applied to it and what it emitted,
// in that order: who replays the log sees what it saw.
class Replica {
  log = [] // [index into the pool, format]; format 0: made here; index -1: nothing was emitted
  edits = {} // step → the edits that made it
  heard = new Set()
  waited = false // something had to wait for others
  undone = false // it keeps what an undo manager needs
  partial = false // it did not hear of everything
  replay = true // another may make the same edits and see the same
  events = null // what happened in each step of log

  constructor (pool, clientID, gc) {
    this.pool = pool
    this.doc = declare(new Y.Doc({ gc }))
    this.doc.clientID = this.clientID = clientID
    this.doc.on('update', (v1, origin) => { if (origin !== 'remote') this.hear(pool.add(v1, null), 0) })
    this.doc.on('updateV2', (v2, origin) => { if (origin !== 'remote') pool.list[pool.list.length - 1][1] = v2 })
  }

  hear (k, format) {
    this.heard.add(k)
    this.log.push([k, format])
  }

  edit (editor) {
    const step = this.log.length
    const made = editor('user')
    if (this.replay) this.edits[step] = made
    if (this.log.length === step) this.log.push([-1, 0])
  }

  apply (k, format) {
    this.hear(k, format)
    const update = this.pool.list[k][format - 1]
    format === 2 ? Y.applyUpdateV2(this.doc, update, 'remote') : Y.applyUpdate(this.doc, update, 'remote')
    this.waited ||= this.pending
    this.wake()
  }

  // wake has Yjs try again what waits: it forgets some of what it waits for, and then
  // waits for ever.
  wake () {
    const { store } = this.doc
    for (let before = -1, now; store.pendingStructs !== null; before = now) {
      now = [...Y.decodeStateVector(Y.encodeStateVector(this.doc)).values()].reduce((a, b) => a + b, 0)
      if (now === before) return
      const { update } = store.pendingStructs
      store.pendingStructs = null
      Y.applyUpdateV2(this.doc, update, 'remote')
    }
  }

  // straighten puts in the place of doc what others make of the same updates. Yjs, when
  // it undoes, may place items where nobody else does.
  straighten () {
    const { doc } = this
    const before = cleanup
    cleanup = false // what was deleted by cleaning up is in the log
    this.doc = declare(new Y.Doc({ gc: doc.gc }))
    for (const [k, format] of this.log) {
      if (k < 0) continue
      format === 2 ? Y.applyUpdateV2(this.doc, this.pool.list[k][1]) : Y.applyUpdate(this.doc, this.pool.list[k][0])
      this.wake()
    }
    cleanup = before
    if (read(this.doc) === read(doc)) this.doc = doc
  }

  get pending () {
    return this.doc.store.pendingStructs !== null || this.doc.store.pendingDs !== null
  }

  answer (rnd) {
    const known = Y.decodeStateVector(Y.encodeStateVector(this.doc))
    for (const [client, clock] of known) known.set(client, Math.floor(rnd() * (clock + 1)))
    const since = Y.encodeStateVector(known)
    return {
      gc: this.doc.gc,
      clientID: this.clientID,
      log: this.log,
      edits: this.edits,
      undone: this.undone,
      partial: this.partial,
      waited: this.waited,
      pending: this.pending,
      read: read(this.doc),
      subdocs: [...this.doc.subdocs].map(d => d.guid).sort(),
      stateVector: base64(Y.encodeStateVector(this.doc)),
      v1: base64(Y.encodeStateAsUpdate(this.doc)),
      v2: base64(Y.encodeStateAsUpdateV2(this.doc)),
      since: base64(since),
      diffV1: base64(Y.encodeStateAsUpdate(this.doc, since)),
      diffV2: base64(Y.encodeStateAsUpdateV2(this.doc, since)),
      snapshot: base64(Y.encodeSnapshot(Y.snapshot(this.doc)))
    }
  }
}

// A Foreigner is a client of another implementation, in Rust. What it does not know it
// drops (section 8.5), so what it holds is not compared: what it writes is.
class Foreigner {
  heard = new Set()

  constructor (pool, rnd) {
    this.pool = pool
    this.rnd = rnd
    this.doc = new ywasm.YDoc({ clientID: 500 })
    this.doc.onUpdate(v1 => {
      if (!this.applying) this.heard.add(pool.add(v1, Y.convertUpdateFormatV1ToV2(v1)))
    })
  }

  apply (k) {
    this.heard.add(k)
    this.applying = true
    try {
      ywasm.applyUpdate(this.doc, this.pool.list[k][0], 'remote')
    } finally {
      this.applying = false
    }
  }

  edit () {
    const int = n => Math.floor(this.rnd() * n)
    const pick = list => list[int(list.length)]
    const text = this.doc.getText('t')
    const array = this.doc.getArray('a')
    const xml = this.doc.getXmlFragment('x')
    const at = t => int(t.length(undefined) + 1)
    const [from, n] = (t => [int(t), 1 + int(3)])(text.length(undefined))
    const part = Math.min(n, text.length(undefined) - from)
    switch (int(12)) {
      case 0: if (part > 0) text.delete(from, part, undefined); break
      case 1: if (part > 0) text.format(from, part, pick([{ bold: true }, { n: 1.5 }, { bold: null }]), undefined); break
      case 2: text.insert(at(text), pick(['rust', 'é']), pick([undefined, { n: 2 }]), undefined); break
      case 3: text.insertEmbed(at(text), { img: 1 }, {}, undefined); break
      case 4: case 5: text.insert(at(text), pick(['typed', 'in', ' rust']), undefined, undefined); break
      case 6: this.doc.getMap('m').set(pick(['k', 'l']), pick([1, 2 ** 40, 'str', [1, { a: null }], new ywasm.YText('nested'), new ywasm.YMap({ a: 1 })]), undefined); break
      case 7: this.doc.getMap('m').delete('k', undefined); break
      case 8: array.insert(at(array), pick([[1, 'x'], [null, true], [new ywasm.YArray([1])], [{ k: [0.1] }]]), undefined); break
      case 9: if (array.length(undefined)) array.delete(int(array.length(undefined)), 1, undefined); break
      case 10: xml.insert(at(xml), new ywasm.YXmlElement('p', { id: 'r' }, [new ywasm.YXmlText('in', {})]), undefined); break
      default: if (xml.length(undefined)) xml.delete(int(xml.length(undefined)), 1, undefined)
    }
  }
}

const ids = [1, 300, 2 ** 32 - 5, 2 ** 45 + 1, 7]

// session is a session of Yjs clients who hear of each other late and in part, and at
// last of everything, and of others who only read.
function session ({ seed, edits }) {
  const rnd = random(seed)
  const int = n => Math.floor(rnd() * n)
  const clients = 1 + int(4)
  cleanup = rnd() < 0.5
  const collect = int(3) // all, none, some
  const undo = rnd() < 0.5
  const objects = rnd() < 0.3
  const pool = new Pool()
  const replicas = Array.from({ length: clients }, (_, i) => new Replica(pool, ids[i], collect === 0 || collect === 2 && i % 2 === 0))
  // ywasm misreads hooks, and writes empty structs where pairs of surrogates are cut.
  const foreigner = rnd() < 0.2 ? new Foreigner(pool, rnd) : null
  const editors = replicas.map(r => editor(r.doc, rnd, objects, foreigner !== null))
  for (const r of replicas) r.replay = !objects
  const managers = replicas.map((r, i) => {
    if (!undo || i % 2 !== 0) return null
    r.undone = true
    r.replay = false // undoing makes structs of its own
    return new Y.UndoManager(Object.values(roots).map(root => root(r.doc)), { captureTimeout: 0, trackedOrigins: new Set(['user']) })
  })
  const format = () => 1 + int(2)

  // deliver applies some of what r has not heard, in some order, some twice.
  const deliver = (r, share) => {
    let news = pool.list.map((_, k) => k).filter(k => !r.heard.has(k) && rnd() < share)
    if (rnd() < 0.3) news = shuffle(news, rnd)
    for (const k of news) {
      r.apply(k, format())
      if (rnd() < 0.05) r.apply(int(pool.list.length), format())
    }
  }
  // sync makes to ask from for what it lacks.
  const sync = (from, to) => {
    const sv = Y.encodeStateVector(to.doc)
    const k = pool.add(Y.encodeStateAsUpdate(from.doc, sv), Y.encodeStateAsUpdateV2(from.doc, sv))
    to.apply(k, format())
  }

  const snapshots = []
  const positions = []
  for (let i = 0; i < edits; i++) {
    const at = int(clients)
    const manager = managers[at]
    if (manager && rnd() < 0.25) rnd() < 0.6 ? manager.undo() : manager.redo()
    else replicas[at].edit(editors[at])
    const r = replicas[at]
    if (!r.doc.gc && rnd() < 0.05 && !r.pending) {
      snapshots.push({ replica: at, snapshot: Y.snapshot(r.doc) })
    }
    if (!r.undone && rnd() < 0.1) {
      const name = ['t', 'a', 'x', 'xt'][int(4)]
      const type = roots[name](r.doc)
      const index = int(type.length + 1)
      const assoc = rnd() < 0.5 ? 0 : -1
      positions.push({ replica: at, step: r.log.length, root: name, index, assoc, position: Y.createRelativePositionFromTypeIndex(type, index, assoc) })
    }
    if (rnd() < 0.4) deliver(replicas[int(clients)], 0.8)
    if (rnd() < 0.05) sync(r, replicas[int(clients)])
    if (foreigner && rnd() < 0.4) { // in order: while something waits, ywasm writes what Yjs dies of
      for (let k = 0; k < pool.list.length; k++) if (!foreigner.heard.has(k)) foreigner.apply(k)
      foreigner.edit()
    }
  }

  // Everybody hears everything; cleaning up makes more of it.
  for (let round = 0, size = -1; size !== pool.list.length; round++) {
    if (round > 20) throw new Error('clients do not come to rest')
    size = pool.list.length
    for (const r of replicas) {
      for (const k of shuffle(pool.list.map((_, k) => k), rnd)) if (!r.heard.has(k)) r.apply(k, format())
    }
  }

  // Others read: in order, out of order with repetitions, and all at once.
  const readers = [new Replica(pool, 99, true), new Replica(pool, 98, false), new Replica(pool, 97, rnd() < 0.5)]
  watch(readers[0])
  let middle
  const all = pool.list.map((_, k) => k)
  const f = format()
  for (const k of all) readers[0].apply(k, f)
  for (const k of shuffle([...all, ...all.filter(() => rnd() < 0.2)], rnd)) {
    readers[1].apply(k, format())
    if (!middle && readers[1].log.length >= all.length / 2) {
      const { doc, log, pending } = readers[1]
      middle = { step: log.length - 1, read: read(doc), stateVector: base64(Y.encodeStateVector(doc)), pending }
    }
  }
  readers[2].apply(pool.add(Y.mergeUpdates(all.map(k => pool.list[k][0])), Y.mergeUpdatesV2(all.map(k => pool.list[k][1]))), format())

  if (foreigner) {
    for (const k of all) if (!foreigner.heard.has(k)) foreigner.apply(k)
    const v1 = ywasm.encodeStateAsUpdate(foreigner.doc, undefined)
    foreigner.doc.free()
    let v2 = null
    try {
      v2 = Y.convertUpdateFormatV1ToV2(v1)
    } catch { /* it writes hooks without names, which nobody can read */ }
    if (v2) {
      const r = new Replica(pool, 96, true)
      r.partial = true
      r.apply(pool.add(v1, v2), format())
      readers.push(r)
    }
  }

  for (const r of replicas) if (r.undone && read(r.doc) !== read(readers[0].doc)) r.straighten()
  const answers = [...replicas, ...readers].map(r => r.answer(rnd))
  return {
    clients,
    cleanup,
    foreign: foreigner !== null,
    pool: pool.list.map(([v1, v2]) => [base64(v1), base64(v2)]),
    replicas: answers,
    events: readers[0].events,
    emitted: readers[0].emitted,
    middle,
    // Not what was read then: pairs of surrogates may have been cut since.
    snapshots: snapshots.map(({ replica, snapshot }) => ({
      replica,
      snapshot: base64(Y.encodeSnapshot(snapshot)),
      read: read(Y.createDocFromSnapshot(replicas[replica].doc, snapshot, declare(new Y.Doc())))
    })),
    positions: positions.map(({ position, ...p }) => {
      const at = Y.createAbsolutePositionFromRelativePosition(position, replicas[p.replica].doc)
      return { ...p, position: base64(Y.encodeRelativePosition(position)), resolved: at === null ? -1 : at.index }
    })
  }
}

// watch records the events and updates of each update that is applied. Yjs deletes
// redundant formatting even when it is asked for the delta of an event, and tells of
// that when it has done more: those events are left out.
function watch (r) {
  r.events = []
  r.emitted = []
  const step = () => r.log.length - 1
  r.doc.on('update', (v1, origin) => { if (origin === 'remote') r.emitted[step()] = [base64(v1)] })
  r.doc.on('updateV2', (v2, origin) => { if (origin === 'remote') r.emitted[step()].push(base64(v2)) })
  const guids = docs => [...docs].map(d => d.guid).sort().join()
  r.doc.on('subdocs', ({ added, removed }, doc, t) => {
    const text = `subdocs +${guids(added)} -${guids(removed)}`
    if (t.origin === 'remote' && text !== 'subdocs + -') r.events[step()] = [...(r.events[step()] ?? []), text]
  })
  for (const [name, root] of Object.entries(roots)) {
    root(r.doc).observeDeep((events, t) => {
      if (t.origin === 'remote') r.events[step()] = [...(r.events[step()] ?? []), ...events.map(e => name + describe(e))].sort()
    })
  }
}

// describe joins steps of equal formatting, as delta does.
function describe (event) {
  const keys = [...event.changes.keys].sort((a, b) => a[0] < b[0] ? -1 : 1).map(([k, { action, oldValue }]) => `${JSON.stringify(k)} ${action}`)
  const steps = []
  for (const op of event instanceof Y.YTextEvent ? event.delta : event.changes.delta) {
    const last = steps[steps.length - 1]
    const a = op.attributes ? value(op.attributes) : ''
    if (op.delete !== undefined) steps.push(['delete ', op.delete, a])
    else if (op.retain !== undefined && last?.[0] === 'retain ' && last[2] === a) last[1] += op.retain
    else if (op.retain !== undefined) steps.push(['retain ', op.retain, a])
    else if (typeof op.insert === 'string' && last?.[0] === 'insert ' && typeof last[1] === 'string' && last[2] === a) last[1] += op.insert
    else steps.push(['insert ', op.insert, a])
  }
  return `${value(event.path)} ${keys} ${steps.map(([what, v, a]) => what + (Array.isArray(v) && !(event instanceof Y.YTextEvent) ? v.map(name) : name(v)) + a).join('; ')}`
}

const name = v => v instanceof Y.AbstractType ? v.constructor.name : value(v)

function shuffle (list, rnd) {
  for (let i = list.length - 1; i > 0; i--) {
    const k = Math.floor(rnd() * (i + 1))
    ;[list[i], list[k]] = [list[k], list[i]]
  }
  return list
}

// mixed is the Yjs side of a session with other clients.
let mixed

const peers = {
  session,

  // Begins a session with others.
  open ({ seed }) {
    const rnd = random(seed)
    const clients = 1 + Math.floor(rnd() * 2)
    const objects = rnd() < 0.5
    cleanup = rnd() < 0.5
    const pool = new Pool()
    const replicas = Array.from({ length: clients }, (_, i) => new Replica(pool, ids[i], rnd() < 0.5))
    mixed = { rnd, pool, replicas, told: 0, editors: replicas.map(r => editor(r.doc, rnd, objects)) }
    mixed.managers = replicas.map(r => rnd() < 0.3
      ? new Y.UndoManager(Object.values(roots).map(root => root(r.doc)), { captureTimeout: 0, trackedOrigins: new Set(['user']) })
      : null)
    return {}
  },

  // Takes what the others made, edits, and tells what was made here. At last all hear
  // all, and tell what they hold.
  turn ({ updates, edits, last }) {
    const { rnd, pool, replicas, editors, managers } = mixed
    for (const [v1, v2] of updates) pool.add(bytes(v1), bytes(v2))
    mixed.told += updates.length // they know their own
    for (let i = 0; i < edits; i++) {
      const at = Math.floor(rnd() * replicas.length)
      for (const k of shuffle(pool.list.map((_, k) => k), rnd)) {
        if (!replicas[at].heard.has(k) && rnd() < 0.3) replicas[at].apply(k, 1 + Math.floor(rnd() * 2))
      }
      if (rnd() < 0.1) {
        const sv = Y.encodeStateVector(replicas[0].doc)
        pool.add(Y.encodeStateAsUpdate(replicas[at].doc, sv), Y.encodeStateAsUpdateV2(replicas[at].doc, sv))
      } else if (managers[at] && rnd() < 0.3) rnd() < 0.6 ? managers[at].undo() : managers[at].redo()
      else editors[at]('user')
    }
    if (last) for (const r of replicas) for (let k = 0; k < pool.list.length; k++) if (!r.heard.has(k)) r.apply(k, 1 + Math.floor(rnd() * 2))
    if (last) replicas.forEach((r, i) => { if (managers[i]) r.straighten() })
    const made = pool.list.slice(mixed.told).map(([v1, v2]) => [base64(v1), base64(v2)])
    mixed.told = pool.list.length
    return { made, reads: last ? replicas.map(r => read(r.doc)) : [], pending: replicas.some(r => r.pending) }
  },

  // What a new document holds after one update.
  apply ({ update, format, gc }) {
    cleanup = false
    const r = new Replica(new Pool(), 99, gc)
    r.apply(format === 2 ? r.pool.add(null, bytes(update)) : r.pool.add(bytes(update), null), format)
    return r.answer(random(0))
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
