// Runs ydoc's benchmarks, and Yjs and ywasm on the same work, one after the other, and
// prints tables with ratios.
//
// usage: npm ci --ignore-scripts && node compare.mjs [bytes | documents]
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { traceUpdates } from './traces.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..', '..')
const joined = join(mkdtempSync(join(tmpdir(), 'heapsync-bench-')), 'joined')
const run = (command, args, env = {}) =>
  execFileSync(command, args, { cwd: root, encoding: 'utf8', env: { ...process.env, ...env }, maxBuffer: 1 << 26 })

const only = process.argv[2]
const round = (v, digits) => v === undefined ? '' : +v.toFixed(digits)
// bench returns the best and the median of a few runs, as documents.mjs does. A small heap
// may grow fivefold before it is collected: so heapsync serve has it, and the rivals' engine.
const bench = (pattern, time, env) => {
  const out = run('go', ['test', './ydoc', '-run', 'MergeOfATrace', '-bench', pattern, '-benchtime', time, '-count', '5', '-timeout', '20m'], { GOGC: '400', ...env })
  const runs = new Map()
  for (const [, name, ns] of out.matchAll(/^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns\/op/gm)) {
    runs.set(name, [...runs.get(name) ?? [], ns / 1e6])
  }
  const ours = new Map([...runs].map(([name, ms]) => {
    ms.sort((a, b) => a - b)
    return [name, { best: ms[0], median: ms[ms.length >> 1] }]
  }))
  return { out, ours }
}

traceUpdates('automerge-paper') // fills the cache that all read
console.log(`${run('go', ['version']).trim()}, node ${process.version}, yjs 13.6.33, ywasm 0.18.3`)

if (only !== 'documents') {
  const { ours } = bench('Merge|Merged', '300ms', { HEAPSYNC_BENCH_MERGED: joined })
  const { times, sizes } = JSON.parse(run('node', [join(here, 'rivals.mjs'), joined]))
  console.log(`merge of all updates: ydoc ${sizes.mergedByYdoc} bytes, yjs ${sizes.mergedByYjs}; state of the document ${sizes.state}`)
  console.table(Object.fromEntries([...ours].map(([name, { best }]) => [name, {
    'ydoc ms': round(best, 3),
    'yjs ms': round(times[name], 3),
    ratio: times[name] === undefined ? '' : round(times[name] / best, 1)
  }])))
}

if (only !== 'bytes') {
  const { out, ours } = bench('Document', '100ms')
  const { times } = JSON.parse(run('node', [join(here, 'documents.mjs')]))
  const spread = t => t === undefined ? '' : `${round(t.best, 4)} / ${round(t.median, 4)}`
  const ratio = (theirs, ms) => theirs === undefined ? '' : `${round(theirs.best / ms.best, 1)} / ${round(theirs.median / ms.median, 1)}`
  console.log('milliseconds: best / median')
  console.table(Object.fromEntries([...ours].filter(([name]) => name !== 'DocumentMemory').map(([name, ms]) => {
    const { yjs, ywasm } = times[name.replace('Document/', '')] ?? {}
    return [name, {
      ydoc: spread(ms),
      yjs: spread(yjs),
      ywasm: spread(ywasm),
      '× yjs': ratio(yjs, ms),
      '× ywasm': ratio(ywasm, ms)
    }]
  })))
  console.log(out.match(/^BenchmarkDocumentMemory.*/m)?.[0])
}
