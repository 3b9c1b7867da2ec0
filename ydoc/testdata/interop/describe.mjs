// Writes what a document holds as text that has one spelling for one content, so that
// two sides can compare it: session_test.go writes the same.
import * as Y from 'yjs'

export const hex = b => Buffer.from(b).toString('hex')

const quote = JSON.stringify
const byKey = (a, b) => a[0] < b[0] ? -1 : 1
const members = (entries, d) => '{' + [...entries].sort(byKey).map(([k, v]) => quote(k) + ':' + d(v)).join() + '}'

// value describes a value, and a shared type in full.
export function value (v) {
  if (v === undefined) return '#undefined'
  if (v === null) return 'null'
  switch (typeof v) {
    case 'number': return Object.is(v, -0) ? '-0' : String(v)
    case 'bigint': return v + 'n'
    case 'string': return quote(v)
    case 'boolean': return String(v)
  }
  if (v instanceof Uint8Array) return '#' + hex(v)
  if (Array.isArray(v)) return '[' + v.map(value).join() + ']'
  if (v instanceof Y.Doc) return 'doc' + quote(v.guid)
  if (v instanceof Y.AbstractType) return type(v)
  return members(Object.entries(v), value)
}

function type (t) {
  if (t instanceof Y.XmlText) return 'xmltext' + text(t)
  if (t instanceof Y.Text) return 'text' + text(t)
  if (t instanceof Y.XmlHook) return 'hook' + quote(t.hookName) + members(t.entries(), value)
  if (t instanceof Y.Map) return 'map' + members(t.entries(), value)
  if (t instanceof Y.Array) return 'array[' + t.toArray().map(value).join() + ']'
  if (t instanceof Y.XmlElement) return 'element' + quote(t.nodeName) + members(Object.entries(t.getAttributes()), value) + '[' + t.toArray().map(value).join() + ']'
  return 'fragment[' + t.toArray().map(value).join() + ']'
}

const text = t => members(Object.entries(t.getAttributes()), value) + delta(t.toDelta())

// delta joins neighbours of equal formatting: where Yjs cuts depends on format items
// that say nothing.
export function delta (ops) {
  const out = []
  for (const { insert, attributes = {} } of ops) {
    const a = members(Object.entries(attributes), value)
    const last = out[out.length - 1]
    if (typeof insert === 'string' && last?.a === a && typeof last.insert === 'string') last.insert += insert
    else out.push({ insert, a })
  }
  return '[' + out.map(({ insert, a }) => value(insert) + a).join() + ']'
}

// roots are those of every session, with the way to declare them.
export const roots = {
  t: d => d.getText('t'),
  m: d => d.getMap('m'),
  a: d => d.getArray('a'),
  x: d => d.getXmlFragment('x'),
  e: d => d.get('e', Y.XmlElement),
  xt: d => d.get('xt', Y.XmlText)
}

export function declare (doc) {
  for (const root of Object.values(roots)) root(doc)
  return doc
}

// read describes a whole document, a line for each root, and what toJSON gives, but
// for those roots whose kind updates do not tell.
export function read (doc) {
  const lines = Object.entries(roots).map(([name, root]) => `${name} ${root(doc).length ?? root(doc).size} ${value(root(doc))}`)
  for (const name of ['t', 'm', 'a', 'x']) lines.push(value(roots[name](doc).toJSON()))
  return lines.join('\n')
}
