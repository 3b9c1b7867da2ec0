// Unmodified y-websocket and Hocuspocus clients, and push and pull over HTTP,
// against the real server.
import { test, after } from 'node:test'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import * as Y from 'yjs'
import { content, device, Device, event, hSynced, id, same, until, url, WebSocket, wsURL, ySynced } from './lib.mjs'

const admin = (...args) => execFileSync(process.env.HEAPSYNC_BIN, ['admin', ...args, '--data', process.env.HEAPSYNC_DIR], { encoding: 'utf8' })
const open = []
const keep = provider => { open.push(provider); return provider }
after(() => {
  for (const p of open) p.destroy()
  setTimeout(() => process.exit(), 500).unref() // some socket of a provider stays
})

function edit (doc, name) {
  doc.transact(() => {
    doc.getText('text').insert(0, `${name} 😀 `)
    doc.getText('text').format(0, 2, { bold: true })
    doc.getArray('array').push([name, 1.5, null, { deep: [true] }])
    doc.getMap('map').set(name, new Date(0).toISOString())
    const p = new Y.XmlElement('paragraph')
    p.insert(0, [new Y.XmlText(name)])
    doc.getXmlFragment('xml').push([p])
  })
}

for (const kind of ['yws', 'hocuspocus']) {
  const synced = kind === 'yws' ? ySynced : hSynced
  test(`two ${kind} clients converge live, and merge what they did offline`, async () => {
    const d = await device()
    const heap = await d.heap(); const block = id()
    const a = keep(d[kind](heap, block)); const b = keep(d[kind](heap, block))
    await synced(a); await synced(b)
    const docA = a.doc ?? a.document; const docB = b.doc ?? b.document
    edit(docA, 'ada'); edit(docB, 'bob')
    await same([docA, docB])
    const sockets = [a, b].map(p => p.configuration?.websocketProvider ?? p)
    sockets.forEach(s => s.disconnect())
    edit(docA, 'ada offline'); docA.getText('text').delete(0, 3)
    edit(docB, 'bob offline'); docB.getArray('array').delete(0, 1)
    assert.notEqual(content(docA), content(docB))
    await until('both offline', () => sockets.every(s => s.status === 'disconnected' || s.wsconnected === false))
    sockets.forEach(s => s.connect())
    await same([docA, docB])
    await same([docA, await d.state(heap, block)])
  })

  test(`${kind}: awareness appears and disappears`, async () => {
    const d = await device()
    const heap = await d.heap(); const block = id()
    const a = keep(d[kind](heap, block)); const b = keep(d[kind](heap, block))
    await synced(a); await synced(b)
    a.awareness.setLocalState({ name: 'ada' })
    const idA = a.awareness.clientID
    await until('ada is seen', () => b.awareness.getStates().get(idA)?.name === 'ada')
    const late = keep(d[kind](heap, block))
    await until('ada is seen by who comes late', () => late.awareness.getStates().get(idA)?.name === 'ada')
    a.awareness.setLocalState(null)
    await until('ada is gone', () => !b.awareness.getStates().has(idA))
    a.awareness.setLocalState({ name: 'ada again' })
    await until('ada is back', () => b.awareness.getStates().get(idA)?.name === 'ada again')
    if (kind === 'yws') a.ws.terminate(); else a.configuration.websocketProvider.webSocket.terminate()
    ;(a.configuration?.websocketProvider ?? a).disconnect()
    await until('ada is gone with her socket', () => !b.awareness.getStates().has(idA))
  })
}

test('y-websocket, Hocuspocus and push/pull converge on one block', async () => {
  const d = await device()
  const heap = await d.heap(); const block = id()
  const a = keep(d.yws(heap, block)); const b = keep(d.hocuspocus(heap, block))
  await ySynced(a); await hSynced(b)
  edit(a.doc, 'ada'); edit(b.document, 'bob')
  const c = new Y.Doc(); edit(c, 'cyd')
  const res = await d.push(heap, block, Y.encodeStateAsUpdate(c), { state_vector: Buffer.from(Y.encodeStateVector(c)).toString('base64') })
  assert.equal(res.status, 'applied')
  assert.ok(res.seq > 0)
  await same([a.doc, b.document])
  const pulled = await d.pull(heap, block, { state_vector: Buffer.from(Y.encodeStateVector(c)).toString('base64') })
  assert.equal(pulled.status, 'update')
  Y.applyUpdate(c, Buffer.from(pulled.update, 'base64'))
  await same([a.doc, b.document, c])
  const again = await d.pull(heap, block, { state_vector: pulled.state_vector, seq: pulled.seq })
  assert.equal(again.status, 'up_to_date')
  assert.equal((await d.push(heap, block, Y.encodeStateAsUpdate(c))).status, 'duplicate')
})

test('an acknowledged edit is on the server: push, kill the client, pull', async () => {
  const d = await device()
  const heap = await d.heap(); const block = id()
  const a = d.hocuspocus(heap, block)
  await hSynced(a)
  a.document.getText('text').insert(0, 'durable')
  await until('nothing unsaved', () => a.unsyncedChanges === 0)
  assert.equal((await d.state(heap, block)).getText('text').toString(), 'durable')
  a.destroy()
})

test('a viewer reads along and cannot write', async () => {
  const owner = await device(); const viewer = await device()
  const heap = await owner.heap(); const block = id()
  const a = keep(owner.hocuspocus(heap, block)); await hSynced(a)
  edit(a.document, 'ada')
  const refused = keep(viewer.hocuspocus(heap, block))
  const failed = await event(refused, 'authenticationFailed')
  assert.equal(failed.reason, 'permission-denied')
  admin('member', heap, viewer.publicKey, 'viewer')
  const b = keep(viewer.hocuspocus(heap, block)); const y = keep(viewer.yws(heap, block))
  await until('hocuspocus viewer synced', () => b.isSynced); await ySynced(y)
  assert.equal(b.authorizedScope, 'readonly')
  await same([a.document, b.document, y.doc])
  b.document.getText('text').insert(0, 'vandal'); y.doc.getText('text').insert(0, 'vandal')
  edit(a.document, 'more')
  await until('the viewer hears of more', () => b.document.getMap('map').has('more') && y.doc.getMap('map').has('more'))
  assert.ok(!a.document.getText('text').toString().includes('vandal'))
  assert.ok(b.unsyncedChanges > 0, 'the viewer is told that the edit is not saved')
  assert.equal((await viewer.push(heap, block, Y.encodeStateAsUpdate(b.document))).status, 'forbidden')
  b.awareness.setLocalState({ name: 'viewer' })
  await until('the viewer is seen', () => a.awareness.getStates().get(b.awareness.clientID)?.name === 'viewer')
})

test('losing a role, a session or the account takes the sockets within a second', async () => {
  const owner = await device(); const member = await device()
  const heap = await owner.heap(); const block = id()
  admin('member', heap, member.publicKey, 'editor')
  const h = keep(member.hocuspocus(heap, block)); const y = keep(member.yws(heap, block))
  await hSynced(h); await ySynced(y)
  const closed = event(h, 'close', 3000); const yClosed = event(y, 'closed', 3000)
  admin('member', heap, member.publicKey, 'none')
  const start = Date.now()
  assert.equal((await closed).event.reason, 'permission-denied')
  assert.equal((await yClosed).event?.code ?? 4403, 4403)
  assert.ok(Date.now() - start < 1000, `took ${Date.now() - start} ms`)

  const own = await member.heap()
  const ws = new WebSocket(`${wsURL}/ws/${own}/${block}?token=${member.token}`)
  await event(ws, 'open')
  const gone = event(ws, 'close', 3000)
  await member.post('/api/auth/logout')
  assert.equal(await gone, 4401)
  await member.login()
  const ws2 = new WebSocket(`${wsURL}/ws/${own}/${block}?token=${member.token}`)
  await event(ws2, 'open')
  const gone2 = event(ws2, 'close', 3000)
  const blockedAt = Date.now()
  admin('block', member.publicKey)
  assert.equal(await gone2, 4401)
  assert.ok(Date.now() - blockedAt < 1500)
  assert.equal((await member.call('POST', '/api/heaps')).status, 401)
})

test('fifty blocks on one socket', async () => {
  const d = await device()
  const heap = await d.heap()
  const left = d.socket(); const right = d.socket()
  open.push(left, right)
  const pairs = Array.from({ length: 50 }, () => {
    const block = id()
    const one = d.hocuspocus(heap, block, new Y.Doc(), { websocketProvider: left, url: undefined })
    const two = d.hocuspocus(heap, block, new Y.Doc(), { websocketProvider: right, url: undefined })
    one.attach(); two.attach()
    return [one, two]
  })
  await Promise.all(pairs.flat().map(hSynced))
  pairs.forEach(([one, two], i) => { edit(one.document, `one ${i}`); edit(two.document, `two ${i}`) })
  await Promise.all(pairs.map(([one, two]) => same([one.document, two.document])))
  const health = await (await fetch(url + '/api/health?diagnostics=1')).json()
  assert.ok(health.diagnostics.realtime.subscriptions >= 100)
})

test('tokens are refreshed during a live socket, and a new one is taken on it', async () => {
  const d = await device()
  const heap = await d.heap(); const block = id()
  const a = keep(d.hocuspocus(heap, block)); const y = keep(d.yws(heap, block))
  await hSynced(a); await ySynced(y)
  const old = d.token
  await d.refresh()
  assert.notEqual(d.token, old)
  await a.sendToken()
  edit(a.document, 'after the refresh'); edit(y.doc, 'too')
  await same([a.document, y.doc])
  await until('nothing unsaved', () => a.unsyncedChanges === 0)
})

test('an update that waits for another is served once that arrives', async () => {
  const d = await device()
  const heap = await d.heap(); const block = id()
  const live = keep(d.yws(heap, block)); await ySynced(live)
  const doc = new Y.Doc(); const updates = []
  doc.on('update', u => updates.push(u))
  doc.getText('text').insert(0, 'one '); doc.getText('text').insert(4, 'two '); doc.getText('text').delete(0, 1)
  for (const i of [2, 1]) {
    const res = await d.push(heap, block, updates[i])
    assert.equal(res.status, 'applied'); assert.equal(res.pending, true)
  }
  assert.equal((await d.state(heap, block)).getText('text').toString(), '')
  const res = await d.push(heap, block, updates[0])
  assert.equal(res.status, 'applied'); assert.equal(res.pending, undefined)
  await same([doc, await d.state(heap, block)])
  await same([doc, live.doc])
})

test('another user’s clocks are not to be claimed, and a cloned client id is refused', async () => {
  const ada = await device(); const eve = await device()
  const heap = await ada.heap(); const block = id()
  admin('member', heap, eve.publicKey, 'editor')
  const a = keep(ada.hocuspocus(heap, block)); await hSynced(a)
  a.document.getText('text').insert(0, 'hello')
  await until('saved', () => a.unsyncedChanges === 0)
  const client = a.document.clientID
  const varuint = n => { const out = []; for (; n > 127; n = Math.floor(n / 128)) out.push(128 | n % 128); out.push(n); return out }
  const gc = Uint8Array.from([1, 1, ...varuint(client), 5, 0, ...varuint(1e6), 0])
  const future = Uint8Array.from([0, 1, ...varuint(client), 1, 5, ...varuint(1000)])
  for (const update of [gc, future]) {
    const res = await eve.push(heap, block, update)
    assert.equal(res.status, 'invalid'); assert.equal(res.error.code, 'foreign_clock_ahead')
  }
  const clone = new Y.Doc(); clone.clientID = client
  clone.getText('text').insert(0, 'HELLO')
  const res = await ada.push(heap, block, Y.encodeStateAsUpdate(clone))
  assert.equal(res.status, 'invalid'); assert.equal(res.error.code, 'client_id_conflict')
  const h = keep(ada.hocuspocus(heap, block, clone)); await hSynced(h)
  h.configuration.websocketProvider.disconnect()
  clone.getText('text').insert(5, ' from the clone')
  a.document.getText('text').insert(5, ' world')
  await until('saved', () => a.unsyncedChanges === 0)
  assert.equal((await ada.push(heap, block, Y.encodeStateAsUpdate(clone))).error.code, 'client_id_conflict')
  const seen = keep(eve.yws(heap, block)); await ySynced(seen)
  assert.equal(seen.doc.getText('text').toString(), 'hello world')
})

test('JSON events of a heap, on the socket of the documents', async () => {
  const d = await device()
  const heap = await d.heap(); const block = id()
  const ws = new WebSocket(`${wsURL}/ws`)
  await event(ws, 'open')
  const events = []
  ws.on('message', (data, binary) => { if (!binary) events.push(JSON.parse(data)) })
  const say = op => ws.send(JSON.stringify(op))
  say({ op: 'subscribe', heap_id: heap })
  await until('refused without a token', () => events.some(e => e.event === 'error' && e.code === 'unauthorized'))
  say({ op: 'auth', token: d.token }); say({ op: 'subscribe', heap_id: 'foreign' }); say({ op: 'subscribe', heap_id: heap })
  await until('a foreign heap is not found', () => events.some(e => e.event === 'error' && e.code === 'not_found'))
  const doc = new Y.Doc(); edit(doc, 'x')
  const res = await d.push(heap, block, Y.encodeStateAsUpdate(doc))
  await until('block.changed', () => events.some(e => e.event === 'block.changed' && e.block_id === block && e.heap_id === heap && e.seq === res.seq && e.state_vector === res.state_vector && e.at > 0))
  ws.close()
})

test('a silent y-websocket client is kept alive past its 30 seconds', { timeout: 60_000 }, async () => {
  const d = await device()
  const heap = await d.heap(); const block = id()
  const y = keep(d.yws(heap, block)); const h = keep(d.hocuspocus(heap, block))
  await ySynced(y); await hSynced(h)
  y.awareness.setLocalState(null); h.awareness.setLocalState(null)
  let drops = 0
  y.on('connection-close', () => drops++); h.on('disconnect', () => drops++)
  await new Promise(resolve => setTimeout(resolve, 36_000))
  assert.equal(drops, 0)
  edit(y.doc, 'still here')
  await same([y.doc, h.document])
})

test('bad logins say why', async () => {
  const d = new Device()
  const bad = await d.call('POST', '/api/auth/create_session', { public_key: '1'.repeat(32) })
  assert.equal(bad.status, 400); assert.equal(bad.body.code, 'invalid_key')
  assert.equal((await d.call('POST', '/api/heaps', {}, 'nonsense')).status, 401)
})
