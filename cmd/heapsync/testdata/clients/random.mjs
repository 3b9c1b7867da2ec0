// Random convergence: seeded sessions of real clients that edit everything at
// once, drop out, come back, repeat themselves, and have their server killed. In
// the end all clients and the server must be equal, with nothing pending.
//
//   node random.mjs [first seed] [sessions] [operations a client]
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as Y from 'yjs'

const [first = Date.now() % 1e6, sessions = 20, operations = 300] = process.argv.slice(2).map(Number)
const port = await new Promise(resolve => { const s = createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => resolve(port)) }) })
process.env.HEAPSYNC_URL = `http://127.0.0.1:${port}`
const { content, device, id, until, url } = await import('./lib.mjs')

const dir = mkdtempSync(join(tmpdir(), 'heapsync-random-'))
let server
async function start () {
  server = spawn(process.env.HEAPSYNC_BIN, ['serve', '--data', dir, '--listen', `127.0.0.1:${port}`, '--snapshot-tail', '32',
    '--collect-from', '1', '--history-updates', '50', '--log-level', 'warn'],
    { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, HEAPSYNC_RATE_LIMITS: 'off', HEAPSYNC_MODE: 'open' } })
  await until('the server listens', async () => (await fetch(url + '/api/health').catch(() => null))?.ok)
}
process.on('exit', () => server?.kill('SIGKILL'))
process.on('SIGTERM', () => process.exit(1))

async function kill () {
  const gone = new Promise(resolve => server.once('exit', resolve))
  server.kill('SIGKILL')
  await gone
}

// mulberry32: a small seeded generator.
function generator (seed) {
  return () => {
    seed = seed + 0x6D2B79F5 | 0
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 4294967296
  }
}

// whole moves an index out of the middle of an emoji: yjs clients that cut one
// without leaving a struct there diverge from each other, with any server.
const whole = (text, i) => /[\udc00-\udfff]/.test(text.toString()[i] ?? '') ? i - 1 : i

function edit (doc, pick, n) {
  const text = doc.getText('text'); const array = doc.getArray('array'); const map = doc.getMap('map'); const xml = doc.getXmlFragment('xml')
  const value = () => [n, -0.5, 'ü😀', null, true, { a: [n] }, [1, { b: 'c' }], new Uint8Array([1, 2, n % 256])][pick(8)]
  switch (pick(10)) {
    case 0: case 1: case 2: text.insert(whole(text, pick(text.length + 1)), ['a', 'word ', '😀', '\n'][pick(4)]); break
    case 3: if (text.length) { const i = whole(text, pick(text.length)); text.delete(i, whole(text, i + 1) === i ? 2 : 1) } break
    case 4: if (text.length > 2) { const i = whole(text, pick(text.length - 2)); const j = whole(text, i + 3); text.format(i, j - i, { [['bold', 'em'][pick(2)]]: [true, null][pick(2)] }) } break
    case 5: array.insert(pick(array.length + 1), [value(), value()]); break
    case 6: if (array.length) array.delete(pick(array.length), 1); break
    case 7: map.set('k' + pick(5), pick(3) ? value() : new Y.Map([['nested', value()]])); break
    case 8: if (pick(2)) map.delete('k' + pick(5)); else { const m = map.get('k' + pick(5)); if (m instanceof Y.Map) m.set('n' + pick(3), value()) } break
    case 9: {
      if (xml.length && !pick(3)) { xml.delete(pick(xml.length), 1); break }
      const p = new Y.XmlElement('p'); p.setAttribute('n', String(n)); p.insert(0, [new Y.XmlText('x' + n)])
      xml.insert(pick(xml.length + 1), [p])
    }
  }
}

// difference names the first place where two contents differ.
function difference (a, b, path = '') {
  if (JSON.stringify(a) === JSON.stringify(b)) return 'as the server'
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return `${path}: server ${JSON.stringify(a)}, client ${JSON.stringify(b)}`
  const key = [...new Set([...Object.keys(a), ...Object.keys(b)])].find(k => JSON.stringify(a[k]) !== JSON.stringify(b[k]))
  return difference(a[key] ?? null, b[key] ?? null, `${path}/${key}`)
}

class HTTPClient {
  constructor (d, heap, block) { Object.assign(this, { d, heap, block, doc: new Y.Doc() }) }
  async sync () {
    const sv = Buffer.from(Y.encodeStateVector(this.doc)).toString('base64')
    const res = await this.d.push(this.heap, this.block, Y.encodeStateAsUpdate(this.doc), { state_vector: sv }).catch(() => null)
    if (res && !['applied', 'duplicate'].includes(res.status)) throw new Error(`push: ${JSON.stringify(res)}`)
    if (res?.missing) Y.applyUpdate(this.doc, Buffer.from(res.missing, 'base64'))
  }
  connect () {}
  disconnect () {}
  destroy () {}
}

async function session (seed) {
  const random = generator(seed)
  const pick = n => Math.floor(random() * n)
  const d = await device(); const heap = await d.heap(); const block = id()
  const clients = Array.from({ length: 3 + pick(3) }, (_, i) => {
    if (i % 3 === 2) return new HTTPClient(d, heap, block)
    const p = i % 3 ? d.hocuspocus(heap, block) : d.yws(heap, block)
    p.doc ??= p.document
    return p
  })
  const sockets = clients.map(c => c.configuration?.websocketProvider ?? c)
  const log = []
  clients.forEach(c => c.doc.on('update', (u, origin) => { if (log.length < 2000 && pick(4) === 0) log.push(u) }))
  for (let n = 0; n < operations; n++) {
    for (const c of clients) c.doc.transact(() => { for (let k = pick(3); k >= 0; k--) edit(c.doc, pick, n) })
    const i = pick(clients.length)
    switch (pick(12)) {
      case 0: sockets[i].disconnect(); break
      case 1: sockets[i].connect(); break
      case 2: if (clients[i].sync) await clients[i].sync(); break
      case 3: if (log.length) await d.push(heap, block, log[pick(log.length)]).catch(() => null); break // out of order, twice
      case 4: await new Promise(resolve => setTimeout(resolve, pick(20))); break
    }
    if (n === Math.floor(operations / 2) && seed % 4 === 0) { await kill(); await start(); await d.login() }
  }
  const end = Date.now() + 20_000
  for (;;) {
    sockets.forEach(s => { if (s.status === 'disconnected' || s.wsconnected === false) s.connect?.() })
    for (const c of clients) if (c.sync) await c.sync()
    const docs = [...clients.map(c => c.doc), await d.state(heap, block)]
    const texts = docs.map(content)
    if (texts.every(t => t === texts[0])) {
      if (texts[0].includes('"pending":true')) throw new Error(`seed ${seed}: something is pending`)
      break
    }
    if (Date.now() > end) {
      texts.forEach((t, i) => console.error(clients[i]?.constructor.name ?? 'server', difference(JSON.parse(texts.at(-1)), JSON.parse(t))))
      throw new Error(`seed ${seed}: no convergence`)
    }
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  clients.forEach(c => c.destroy())
}

try {
  await start()
  for (let i = 0; i < sessions; i++) {
    await session(first + i).catch(err => { throw new Error(`replay with: node random.mjs ${first + i} 1 ${operations}`, { cause: err }) })
  }
  console.log(`${sessions} sessions from seed ${first} converged`)
  process.exitCode = 0
} catch (err) {
  console.error(err)
  process.exitCode = 1
} finally {
  await kill()
  rmSync(dir, { recursive: true, force: true })
  process.exit()
}
