// Random edits of Yjs documents, over all types. An edit is data, in the words of the
// vectors: {on, path, do, args}, with values JSON lacks and new types as {$: …}.
import * as Y from 'yjs'
import { hex, roots } from './describe.mjs'

export function random (seed) { // mulberry32
  return () => {
    seed = (seed + 0x6D2B79F5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const allWords = ['a', 'b', 'hello', ' ', 'é', '😀', '漢字', 'xyz\n', '👩‍👧', 'q', '<&>"', '\n', '\u0000', '\u2028']
const negativeZero = { $: 'number', v: '-0' }
const scalars = [0, 1, -1, 1.5, 1e300, 2 ** 40, negativeZero, 0.1, true, false, null, 'str', '', '😀é']
const values = [...scalars, { k: 1, 10: 'n', 2: [] }, {}, [1, [null]], [], { deep: { er: [{}] } }, 'a longer string, longer than others']
const unusual = [{ $: 'undefined' }, { $: 'bigint', v: '1234567890123456789' }, { $: 'bigint', v: '-5' }]
const plainAttributes = [{ bold: true }, { bold: null }, { bold: null, color: null }, { italic: true }, { color: 'red' }, { color: 'blue' }, { bold: true, color: 'red' }, { n: 1 }, { n: 1, bold: null }, { bold: false }, { bold: '' }, { n: 0 }]
const deepAttributes = [...plainAttributes, { link: { href: 'x' } }, { link: { href: 'y' } }, { link: null }, { a: {} }]
const keys = ['k', 'l', 'm', '1', '']
const empty = [{ $: 'map' }, { $: 'array' }, { $: 'text' }, { $: 'xmlText' }, { $: 'xmlElement', name: 'img' }, { $: 'xmlHook', name: 'h' }]
const attributeNames = ['id', 'class', 'n']

// build makes what a tagged value stands for.
export function build (v) {
  if (Array.isArray(v)) return v.map(build)
  if (v === null || typeof v !== 'object') return v
  switch (v.$) {
    case undefined: return Object.fromEntries(Object.entries(v).map(([k, v]) => [k, build(v)]))
    case 'undefined': return undefined
    case 'number': return Number(v.v)
    case 'bigint': return BigInt(v.v)
    case 'bytes': return new Uint8Array(Buffer.from(v.v, 'hex'))
    case 'doc': return new Y.Doc(v)
    case 'map': return new Y.Map(v.entries?.map(([k, v]) => [k, build(v)]))
    case 'array': return Y.Array.from(build(v.items ?? []))
    case 'xmlHook': return new Y.XmlHook(v.name)
    case 'text': case 'xmlText': {
      const t = v.$ === 'text' ? new Y.Text(v.str) : new Y.XmlText(v.str)
      if (v.delta) t.applyDelta(build(v.delta))
      return t
    }
    case 'xmlElement': {
      const e = new Y.XmlElement(v.name)
      e.insert(0, build(v.children ?? []))
      for (const [k, a] of v.attrs ?? []) e.setAttribute(k, build(a))
      return e
    }
  }
  throw new Error('no such tag: ' + v.$)
}

// where returns the root that t is in and the way to it.
function where (t) {
  const path = []
  for (; t._item; t = t._item.parent) {
    if (t._item.parentSub !== null) {
      path.unshift(t._item.parentSub)
      continue
    }
    let at = 0
    for (let i = t._item.left; i; i = i.left) if (!i.deleted && i.countable) at += i.length
    path.unshift(at)
  }
  return { on: Object.keys(roots).find(name => t.doc.share.get(name) === t), path }
}

// editor edits doc with what rnd draws. Yjs asks whether two formats are the same object,
// so what it does with objects for values depends on where it has them from.
// For the sake of others who do not know how, it can leave out hooks, and text that
// could be cut inside a surrogate pair.
export function editor (doc, rnd, objects, simple = false) {
  const words = simple ? allWords.filter(w => !/[\ud800-\udfff]/.test(w)) : allWords
  const attributes = objects ? deepAttributes : plainAttributes
  const int = n => Math.floor(rnd() * n)
  const pick = list => list[int(list.length)]
  const bytes = () => ({ $: 'bytes', v: hex([1, int(255)]) })
  const subdoc = () => ({ $: 'doc', guid: 'g' + int(9), meta: pick([null, { a: 1 }]), gc: rnd() < 0.5, autoLoad: rnd() < 0.5 })

  function typesOf (doc) {
    const types = []
    const add = (t, depth) => {
      if (!(t instanceof Y.AbstractType)) return
      types.push(t)
      if (depth > 4) return
      if (t instanceof Y.Map) for (const v of t.values()) add(v, depth + 1)
      else if (t instanceof Y.Text) t.toDelta().forEach(op => add(op.insert, depth + 1))
      else for (const v of t.toArray()) add(v, depth + 1)
    }
    for (const root of Object.values(roots)) add(root(doc), 0)
    return types
  }

  // fresh makes a type, some with content.
  function fresh (depth = 0) {
    const full = depth < 3 && rnd() < 0.4
    switch (int(7)) {
      case 0: return full ? { $: 'map', entries: [[pick(keys), pick(values)], ['z', fresh(depth + 1)]] } : { $: 'map' }
      case 1: return full ? { $: 'array', items: [pick(scalars), fresh(depth + 1), bytes()] } : { $: 'array' }
      case 2: return full ? { $: 'text', delta: [{ insert: pick(words) }, { insert: pick(words), attributes: pick(attributes) }] } : { $: 'text' }
      default: return xml(depth)
    }
  }

  function xml (depth = 0) {
    switch (int(6)) {
      case 0: return rnd() < 0.5 ? { $: 'xmlText', str: pick(words) } : { $: 'xmlText' }
      case 1: return { $: 'xmlText', delta: [{ insert: 'for' }, { insert: 'matted', attributes: pick(attributes) }, { insert: pick(words) }] }
      case 2: return simple ? { $: 'xmlElement', name: 'h' } : { $: 'xmlHook', name: pick(['h', 'hook']) }
      default: {
        const e = { $: 'xmlElement', name: pick(['p', 'DIV', 'li']) }
        if (depth < 3 && rnd() < 0.4) e.children = [xml(depth + 1)]
        if (rnd() < 0.3) e.attrs = [[pick(attributeNames), pick(words)]]
        return e
      }
    }
  }

  function range (length) {
    const at = int(length)
    return [at, 1 + int(Math.min(length - at, rnd() < 0.2 ? length : 4))]
  }

  // cuts are the places of t that are not inside a surrogate pair. Yjs, when it looks
  // for a place, cuts pairs without telling others, unless it then inserts there.
  function cuts (t) {
    const places = [0]
    let at = 0
    for (const { insert } of t.toDelta()) {
      for (const c of typeof insert === 'string' ? insert : ' ') places.push(at += c.length)
    }
    return places
  }

  function editText (t, act) {
    const at = int(t.length + 1)
    switch (int(13)) {
      case 0: case 1: case 2: case 3: case 4: if (t.length) {
        const places = cuts(t)
        const [from, n] = range(places.length - 1)
        const length = places[from + n] - places[from]
        rnd() < 0.6 ? act(t, 'delete', places[from], length) : act(t, 'format', places[from], length, pick(attributes))
        break
      }
      // falls through
      case 5: act(t, 'insert', at, pick(words), pick(attributes)); break
      case 6: act(t, 'insertEmbed', at, pick([{ img: 1 }, {}, { a: [null] }]), pick([{}, pick(attributes)])); break
      case 7: act(t, 'insertEmbed', at, pick(simple ? empty.slice(0, -1) : empty)); break
      case 8: {
        const ops = []
        const places = cuts(t)
        let from = 0
        for (let n = 1 + int(4); n > 0; n--) {
          const to = Math.min(places.length - 1, from + 1 + int(5))
          const length = places[to] - places[from]
          const some = rnd() < 0.5 ? { attributes: pick(attributes) } : {}
          const what = int(3)
          if (what === 0) ops.push({ insert: pick(words), ...some })
          else if (length) {
            ops.push(what === 1 ? { delete: length } : { retain: length, ...some })
            from = to
          }
        }
        act(t, 'applyDelta', ops)
        break
      }
      case 9: rnd() < 0.7 ? act(t, 'setAttribute', pick(attributeNames), pick(scalars)) : act(t, 'removeAttribute', pick(attributeNames)); break
      default: { // typing
        let to = at
        for (let k = int(6); k >= 0; k--) {
          const word = pick(words)
          act(t, 'insert', to, word)
          to += word.length
        }
      }
    }
  }

  function editMap (m, act) {
    const key = pick(keys)
    switch (int(9)) {
      case 0: act(m, 'delete', key); break
      case 1: case 2: act(m, 'set', key, fresh()); break
      case 3: act(m, 'set', key, bytes()); break
      case 4: act(m, 'set', key, subdoc()); break
      case 5: act(m, 'set', key, pick(unusual)); break
      case 6: if (rnd() < 0.2) for (const key of [...m.keys()]) act(m, 'delete', key); else act(m, 'set', key, pick(scalars)); break
      default: act(m, 'set', key, pick(values))
    }
  }

  function editArray (a, act) {
    switch (int(9)) {
      case 0: case 1: case 2: if (a.length) act(a, 'delete', ...range(a.length)); break
      case 3: act(a, 'insert', int(a.length + 1), [fresh(), pick(values)]); break
      case 4: act(a, 'push', [pick(values)]); break
      case 5: act(a, 'unshift', [pick(values)]); break
      case 6: act(a, 'insert', int(a.length + 1), [pick([bytes(), subdoc()])]); break
      default: act(a, 'insert', int(a.length + 1), Array.from({ length: 1 + int(3) }, () => pick(values)))
    }
  }

  function editXml (x, act) {
    if (x instanceof Y.XmlElement && rnd() < 0.4) {
      if (rnd() < 0.2) act(x, 'removeAttribute', pick(attributeNames))
      else act(x, 'setAttribute', pick(attributeNames), rnd() < 0.8 ? pick(words) : pick(scalars.filter(v => v !== null)))
    } else if (x.length && rnd() < 0.3) act(x, 'delete', ...range(x.length))
    else if (rnd() < 0.2) act(x, 'insert', x.length, [xml()])
    else act(x, 'insert', int(x.length + 1), rnd() < 0.2 ? [xml(), xml()] : [xml()])
  }

  // edit makes one transaction and returns what it did.
  return function edit (origin) {
    const tx = []
    const act = (type, what, ...args) => {
      tx.push({ ...where(type), do: what, args })
      type[what](...build(args)) // build copies: Yjs adds to the attributes it is given
    }
    doc.transact(() => {
      const types = typesOf(doc)
      for (let n = 1 + int(4); n > 0; n--) {
        const type = rnd() < 0.5 ? types[0] : pick(types)
        if (type._item?.deleted) continue
        if (type instanceof Y.Text) editText(type, act)
        else if (type instanceof Y.Map) editMap(type, act)
        else if (type instanceof Y.Array) editArray(type, act)
        else editXml(type, act)
      }
    }, origin)
    return tx
  }
}
