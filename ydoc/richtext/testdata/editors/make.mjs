// Makes ../fixtures.json: documents as real editors keep them, for richtext_test.go.
//
//   npm ci --ignore-scripts && node make.mjs
import { JSDOM } from 'jsdom'
const { window } = new JSDOM('<!doctype html><html><body></body></html>', { pretendToBeVisual: true })
for (const name of ['window', 'document', 'Node', 'Element', 'HTMLElement', 'DOMParser', 'MutationObserver', 'getComputedStyle', 'DocumentFragment', 'Event', 'KeyboardEvent', 'Range', 'Text', 'XMLSerializer']) {
  Object.defineProperty(globalThis, name, { value: name === 'window' ? window : window[name], configurable: true, writable: true })
}
const { writeFileSync } = await import('node:fs')
const Y = await import('yjs')
const { getSchema } = await import('@tiptap/core')
const { default: StarterKit } = await import('@tiptap/starter-kit')
const { TableKit } = await import('@tiptap/extension-table')
const { TaskList, TaskItem } = await import('@tiptap/extension-list')
const { default: Image } = await import('@tiptap/extension-image')
const { default: Highlight } = await import('@tiptap/extension-highlight')
const { default: Subscript } = await import('@tiptap/extension-subscript')
const { default: Superscript } = await import('@tiptap/extension-superscript')
const { prosemirrorJSONToYDoc } = await import('y-prosemirror')
const { BlockNoteEditor } = await import('@blocknote/core')
const { blocksToYDoc } = await import('@blocknote/core/yjs')
const { documents, quill } = await import('./documents.mjs')

const schema = getSchema([StarterKit, TableKit, TaskList, TaskItem.configure({ nested: true }), Image.configure({ inline: false }), Highlight, Subscript, Superscript])
const editor = BlockNoteEditor.create()
const fixtures = []

// Client ids, and so the bytes, differ each time.
const add = (name, root, doc) => fixtures.push({ name, root, update: Buffer.from(Y.encodeStateAsUpdate(doc)).toString('base64') })

for (const [name, content] of Object.entries(documents.tiptap)) {
  schema.nodeFromJSON({ type: 'doc', content }).check()
  add('tiptap-' + name, 'default', prosemirrorJSONToYDoc(schema, { type: 'doc', content }, 'default'))
}
for (const [name, blocks] of Object.entries(documents.blocknote)) add('blocknote-' + name, 'document-store', blocksToYDoc(editor, blocks, 'document-store'))
for (const [name, delta] of Object.entries(quill)) {
  const doc = new Y.Doc()
  doc.getText('quill').applyDelta(delta)
  add('quill-' + name, 'quill', doc)
}
writeFileSync(new URL('../fixtures.json', import.meta.url), '[\n' + fixtures.map(f => JSON.stringify(f)).join(',\n') + '\n]\n')
process.exit(0)
