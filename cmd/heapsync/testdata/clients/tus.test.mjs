// An unmodified tus-js-client against the real server, which may be killed.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { Upload } from 'tus-js-client'
import { device, id, sha, url } from './lib.mjs'

const endpoint = `${url}/api/files/`

async function world () {
  const d = await device()
  const heap = await d.heap()
  const block = id()
  const options = more => ({
    endpoint,
    headers: { Authorization: `Bearer ${d.token}` },
    metadata: { heap_id: heap, block_id: block, filename: 'Füße.bin', filetype: 'application/octet-stream' },
    retryDelays: [0, 100, 500, 1000],
    ...more
  })
  const file = async (of = block) => {
    const res = await fetch(`${url}/api/file/${of}/raw/x`, { headers: { Authorization: `Bearer ${d.token}` } })
    assert.equal(res.status, 200)
    assert.match(res.headers.get('content-disposition'), /F%C3%BC%C3%9Fe\.bin/)
    return sha(Buffer.from(await res.arrayBuffer()))
  }
  return { d, heap, block, options, file }
}

// upload sends content and returns the upload when it is whole.
const upload = (content, options) => new Promise((resolve, reject) => {
  const u = new Upload(content, { ...options, onSuccess: () => resolve(u), onError: reject })
  u.start()
})

for (const [name, more] of Object.entries({
  'in one request': {},
  'in chunks': { chunkSize: 1_000_000 },
  'with the creation': { uploadDataDuringCreation: true, chunkSize: 2_000_000 },
  'with POST instead of PATCH': { overridePatchMethod: true, chunkSize: 3_000_000 },
  'as parts at once': { parallelUploads: 3 }
})) {
  test(`a file is uploaded ${name}`, async () => {
    const { heap, options, file } = await world()
    const content = randomBytes(5_000_003)
    if (more.parallelUploads) more.metadataForPartialUploads = { heap_id: heap }
    await upload(content, options(more))
    assert.equal(await file(), sha(content))
  })
}

test('the heap may stand in the address, and the server names the block', async () => {
  const { heap, options, file } = await world()
  const content = randomBytes(3_000_000)
  let block
  await upload(content, options({
    endpoint: `${endpoint}?heap_id=${heap}`,
    metadata: { filename: 'Füße.bin' },
    parallelUploads: 2,
    onAfterResponse: (_, res) => { block = res.getHeader('Block-Id') ?? block }
  }))
  assert.equal(await file(block), sha(content))
})

test('an upload goes on where it was interrupted', async () => {
  const { options, file } = await world()
  const content = randomBytes(6_000_000)
  const first = await new Promise((resolve, reject) => {
    const u = new Upload(content, {
      ...options({ chunkSize: 1_000_000, onError: reject }),
      onChunkComplete: (_, sent) => { if (sent >= 2_000_000) u.abort().then(() => resolve(u), reject) }
    })
    u.start()
  })
  let begun = -1
  const offsets = []
  await upload(content, options({
    uploadUrl: first.url,
    chunkSize: 1_000_000,
    onProgress: sent => { if (begun < 0) begun = sent },
    onAfterResponse: (_, res) => offsets.push(Number(res.getHeader('Upload-Offset')))
  }))
  assert.ok(offsets[0] >= 2_000_000, `it went on at ${offsets[0]}`)
  assert.ok(begun >= 2_000_000, `it began with ${begun}`)
  assert.equal(await file(), sha(content))
  // Who did not hear of the end is told, and sends nothing.
  await upload(content, options({ uploadUrl: first.url }))
})

test('checksums are compared', async () => {
  const { options, file } = await world()
  const content = randomBytes(100_000)
  const checked = sum => options({ uploadUrl: null, retryDelays: null, onBeforeRequest: req => { if (req.getMethod() === 'PATCH') req.setHeader('Upload-Checksum', sum) } })
  const sha1 = createHash('sha1').update(content).digest('base64')
  await assert.rejects(upload(content, checked(`sha1 ${Buffer.alloc(20).toString('base64')}`)), /460/)
  await upload(content, checked(`sha1 ${sha1}`))
  assert.equal(await file(), sha(content))
})

test('a hash that is told before must be that of the file', async () => {
  const { heap, block, options, file } = await world()
  const content = randomBytes(100_000)
  const metadata = hash => ({ heap_id: heap, block_id: block, filename: 'Füße.bin', hash })
  await assert.rejects(upload(content, options({ retryDelays: null, metadata: metadata(sha('other')) })), /422/)
  await upload(content, options({ metadata: metadata(sha(content)) }))
  assert.equal(await file(), sha(content))
})

test('an upload that is ended is gone', async () => {
  const { d, options } = await world()
  const address = await new Promise((resolve, reject) => {
    const u = new Upload(randomBytes(3_000_000), {
      ...options({ chunkSize: 1_000_000, onError: reject }),
      onChunkComplete: () => {
        const address = u.url
        u.abort(true).then(() => resolve(address), reject)
      }
    })
    u.start()
  })
  assert.match(address, /\/api\/files\/[0-9a-f]{64}$/)
  const res = await fetch(address, { method: 'HEAD', headers: { Authorization: `Bearer ${d.token}`, 'Tus-Resumable': '1.0.0' } })
  assert.equal(res.status, 404)
})

test('who may not write is refused', async () => {
  const { options } = await world()
  const stranger = await device()
  await assert.rejects(upload(randomBytes(10), options({ headers: { Authorization: `Bearer ${stranger.token}` }, retryDelays: null })), /404/)
  await assert.rejects(upload(randomBytes(10), options({ headers: {}, retryDelays: null })), /401/)
})
