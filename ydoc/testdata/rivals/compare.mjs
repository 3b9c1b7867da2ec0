// Runs ydoc's benchmarks and Yjs's byte functions on the same updates, one after
// the other, and prints a table with ratios.
//
// usage: npm ci --ignore-scripts && node compare.mjs
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

traceUpdates('automerge-paper') // fills the cache that both read
const out = run('go', ['test', './ydoc', '-run', 'MergeOfATrace', '-bench', 'Merge|Merged', '-benchtime', '1s'], { HEAPSYNC_BENCH_MERGED: joined })
const ours = new Map()
for (const [, name, ns] of out.matchAll(/^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns\/op/gm)) ours.set(name, ns / 1e6)
const { times, sizes, node } = JSON.parse(run('node', [join(here, 'rivals.mjs'), joined]))

console.log(`${out.match(/^cpu: .*/m)?.[0] ?? ''}, ${run('go', ['version']).trim()}, node ${node}, yjs 13.6.33`)
console.log(`merge of all updates: ydoc ${sizes.mergedByYdoc} bytes, yjs ${sizes.mergedByYjs}; state of the document ${sizes.state}`)
console.table(Object.fromEntries([...ours].map(([name, ms]) => [name, {
  'ydoc ms': +ms.toFixed(3),
  'yjs ms': times[name] === undefined ? '' : +times[name].toFixed(3),
  ratio: times[name] === undefined ? '' : +(times[name] / ms).toFixed(1)
}])))
