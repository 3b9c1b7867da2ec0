// What all client tests share: a device that logs in with its key, the real
// providers on their sockets, and patience.
import { createHash, generateKeyPairSync, sign, randomUUID } from 'node:crypto'
import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import { WebsocketProvider } from 'y-websocket'
import WS from 'ws'
import * as Y from 'yjs'

// WebSocket is ws, made like a browser's: an error that nobody listens to is none.
export class WebSocket extends WS {
  constructor (...args) {
    super(...args)
    this.on('error', () => {})
  }
}

export const url = process.env.HEAPSYNC_URL
export const wsURL = url.replace(/^http/, 'ws')

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
export function base58 (bytes) {
  let n = BigInt('0x' + (Buffer.from(bytes).toString('hex') || '0'))
  let text = ''
  for (; n > 0n; n /= 58n) text = alphabet[Number(n % 58n)] + text
  for (const b of bytes) { if (b !== 0) break; text = '1' + text }
  return text
}

export class Device {
  constructor () {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    this.privateKey = privateKey
    this.publicKey = base58(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32))
  }

  async call (method, path, body, token = this.token) {
    const headers = { 'content-type': 'application/json' }
    if (token) headers.authorization = `Bearer ${token}`
    const res = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) })
    const text = await res.text()
    return { status: res.status, body: text && JSON.parse(text) }
  }

  async post (path, body, token) {
    const res = await this.call('POST', path, body, token)
    if (res.status >= 300) throw new Error(`${path}: ${res.status} ${JSON.stringify(res.body)}`)
    return res.body
  }

  async login (extra = {}) {
    const { challenge } = await this.post('/api/auth/create_session', { public_key: this.publicKey })
    const signature = base58(sign(null, Buffer.from(challenge), this.privateKey))
    const res = await this.post('/api/auth/verify_session', { public_key: this.publicKey, message: challenge, signature, ...extra })
    this.token = res.accessToken
    this.refreshToken = res.refreshToken
    return res
  }

  async refresh () {
    const res = await this.post('/api/auth/refresh_token', { refresh_token: this.refreshToken }, this.refreshToken)
    this.token = res.accessToken
    this.refreshToken = res.refreshToken
  }

  async heap () {
    const { id } = await this.post('/api/heap/add', { name: 'test' })
    return id
  }

  async push (heap, block, update, more = {}) {
    const res = await this.post('/api/sync/push', { blocks: [{ workspace_id: heap, block_id: block, update: Buffer.from(update).toString('base64'), ...more }] })
    return res.results[0]
  }

  async pull (heap, block, more = {}) {
    const res = await this.post('/api/sync/pull', { blocks: [{ workspace_id: heap, block_id: block, ...more }] })
    return res.blocks[0]
  }

  // state is the block's document as the server has it.
  async state (heap, block) {
    const doc = new Y.Doc()
    const res = await this.pull(heap, block)
    if (res.state) Y.applyUpdate(doc, Buffer.from(res.state, 'base64'))
    return doc
  }

  yws (heap, block, doc = new Y.Doc(), more = {}) {
    return new WebsocketProvider(`${wsURL}/ws/${heap}`, block, doc, { WebSocketPolyfill: WebSocket, disableBc: true, params: { token: this.token }, ...more })
  }

  hocuspocus (heap, block, doc = new Y.Doc(), more = {}) {
    return new HocuspocusProvider({ url: `${wsURL}/ws`, name: `${heap}/${block}`, document: doc, token: () => this.token, WebSocketPolyfill: WebSocket, ...more })
  }

  socket () {
    return new HocuspocusProviderWebsocket({ url: `${wsURL}/ws`, WebSocketPolyfill: WebSocket })
  }
}

export const id = () => randomUUID()

export async function device (extra) {
  const d = new Device()
  await d.login(extra)
  return d
}

// until polls: a test waits for what must become true, and says what did not.
export async function until (what, check, timeout = 10_000) {
  const end = Date.now() + timeout
  for (;;) {
    if (await check()) return
    if (Date.now() > end) throw new Error(`not within ${timeout} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

export const event = (emitter, name, timeout = 10_000) => new Promise((resolve, reject) => {
  const timer = setTimeout(() => reject(new Error(`no ${name} within ${timeout} ms`)), timeout)
  emitter.on(name, value => { clearTimeout(timer); resolve(value) })
})

export const ySynced = p => until('y-websocket synced', () => p.synced)
export const hSynced = p => until('hocuspocus synced', () => p.isSynced && p.unsyncedChanges === 0)

export const sha = bytes => createHash('sha256').update(bytes).digest('hex')

// sorted is a JSON replacer: the order of keys depends on that of arrival.
const sorted = (_, v) => v && typeof v === 'object' && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => a < b ? -1 : 1)) : v

// content is everything that two equal documents agree on.
export function content (doc) {
  const roots = {
    text: doc.getText('text').toDelta(), array: doc.getArray('array').toJSON(), map: doc.getMap('map').toJSON(),
    xml: doc.getXmlFragment('xml').toString()
  }
  const sv = [...Y.decodeStateVector(Y.encodeStateVector(doc))].sort((a, b) => a[0] - b[0])
  const ds = Y.snapshot(doc).ds
  const deletes = [...ds.clients].sort((a, b) => a[0] - b[0]).map(([c, items]) => [c, items.map(i => [i.clock, i.len])])
  return JSON.stringify({ roots, sv, deletes, pending: doc.store.pendingStructs !== null || doc.store.pendingDs !== null }, sorted)
}

export async function same (docs, timeout) {
  await until('all documents equal', () => docs.every(d => content(d) === content(docs[0])), timeout)
  if (content(docs[0]).includes('"pending":true')) throw new Error('something is pending')
}
