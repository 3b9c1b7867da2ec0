// What the fixtures hold.
const text = (text, ...marks) => ({ type: 'text', text, ...(marks.length ? { marks: marks.map(m => typeof m === 'string' ? { type: m } : m) } : {}) })
const link = (href) => ({ type: 'link', attrs: { href } })
const node = (type, attrs, ...content) => ({ type, ...(attrs ? { attrs } : {}), ...(content.length ? { content } : {}) })
const p = (...content) => node('paragraph', null, ...content)
const br = { type: 'hardBreak' }
const cell = (name, attrs, ...content) => node(name, attrs, ...content)

export const documents = {
  tiptap: {
    empty: [p()],
    everything: [
      node('heading', { level: 1 }, text('A title')),
      p(text('Plain, '), text('bold', 'bold'), text(', '), text('italic', 'italic'), text(', '), text('both', 'bold', 'italic'), text(', '), text('struck', 'strike'), text(', '),
        text('code()', 'code'), text(', '), text('underlined', 'underline'), text(', '), text('marked', 'highlight'), text(', H'), text('2', 'subscript'), text('O, E=mc'), text('2', 'superscript'), text('.')),
      node('heading', { level: 2 }, text('Links and breaks')),
      p(text('See '), text('the site', link('https://example.org/a?b=1&c=2')), text(' or '), text('mail', link('mailto:ada@example.org')), br, text('a second line')),
      node('heading', { level: 6 }, text('Small')),
      node('bulletList', null,
        node('listItem', null, p(text('one'))),
        node('listItem', null, p(text('two')), node('bulletList', null, node('listItem', null, p(text('two a'))), node('listItem', null, p(text('two b')), node('orderedList', { start: 1 }, node('listItem', null, p(text('deep'))))))),
        node('listItem', null, p(text('three')))),
      node('orderedList', { start: 9 }, node('listItem', null, p(text('nine'))), node('listItem', null, p(text('ten')), p(text('and its second paragraph')))),
      node('taskList', null,
        node('taskItem', { checked: true }, p(text('done'))),
        node('taskItem', { checked: false }, p(text('to do')), node('taskList', null, node('taskItem', { checked: true }, p(text('part of it')))))),
      node('blockquote', null, p(text('Quoted.')), p(text('Twice.')), node('blockquote', null, p(text('Deeper.')))),
      node('codeBlock', { language: 'go' }, text('func main() {\n\tprintln("<hi> `there`")\n}')),
      node('codeBlock', null, text('a fence:\n```\n````')),
      node('horizontalRule'),
      node('image', { src: 'https://example.org/i.png', alt: 'An [image]', title: 'With "title"' })
    ],
    table: [
      node('table', null,
        node('tableRow', null, cell('tableHeader', null, p(text('Name'))), cell('tableHeader', { colspan: 2 }, p(text('Value | unit')))),
        node('tableRow', null, cell('tableCell', null, p(text('a'))), cell('tableCell', null, p(text('1'), br, text('2'))), cell('tableCell', null, p(text('x|y', 'code')))),
        node('tableRow', null, cell('tableCell', { rowspan: 2 }, p(text('b', 'bold')), p(text('second'))), cell('tableCell', null, node('bulletList', null, node('listItem', null, p(text('in a list'))))), cell('tableCell', null, p())))
    ],
    'table-without-headers': [node('table', null, node('tableRow', null, cell('tableCell', null, p(text('a'))), cell('tableCell', null, p(text('b')))))],
    escaping: [
      p(text('# not a heading')), p(text('1. not a list')), p(text('12) neither')), p(text('- nor this')), p(text('+ nor this')), p(text('> no quote')), p(text('--- no rule')), p(text('===')),
      p(text('*no* _em_ snake_case __init__ **bold** `code` ~~strike~~ [link](http://x) ![img](y) <b>tag</b> &amp; a & b &copy \\ back')),
      p(text('a line'), br, text('- then a dash'), br, text('    four spaces'), br, text('```')),
      p(text('| a | b |'), br, text('| --- | --- |')),
      p(text('  leading and trailing  ')),
      p(text('wow!'), text('link', link('https://example.org'))),
      node('heading', { level: 2 }, text('C #')),
      p(text('<script>alert(1)</script>')),
      p(text('"quotes" & \'apostrophes\''))
    ],
    marks: [
      p(text('in'), text('tra', 'bold'), text('word')),
      p(text('bold ', 'bold'), text('and both', 'bold', 'italic'), text(' bold', 'bold')),
      p(text('italic', 'italic'), text('bold', 'bold')),
      p(text('"quoted"', 'bold'), text('word')),
      p(text(' spaced ', 'bold'), text('x')),
      p(text('a', 'bold'), text('b', 'bold', link('https://example.org/x')), text('c', link('https://example.org/x'))),
      p(text('under', 'underline', 'bold'), text('line', 'underline')),
      p(text('over', 'bold'), text('lap', 'bold', 'strike'), text('ping', 'strike')),
      p(text('`', 'code'), text(' '), text('``a`', 'code'), text(' '), text(' ', 'code')),
      p(text('two', 'bold'), br, text('lines', 'bold'))
    ],
    addresses: [
      p(text('script', link('javascript:alert(1)'))), p(text('data', link('data:text/html,x'))), p(text('relative', link('/a/b#c'))), p(text('spaces', link('https://example.org/a b(c)"d'))), p(text('upper', link('HTTPS://EXAMPLE.ORG'))),
      node('image', { src: 'javascript:alert(1)', alt: 'bad' }), node('image', { src: 'data:image/png;base64,AAAA' }), node('image', { src: '/files/a.png', alt: '' })
    ],
    lists: [
      node('bulletList', null, node('listItem', null, p(text('a')))), node('bulletList', null, node('listItem', null, p(text('another list')))),
      node('orderedList', { start: 1 }, node('listItem', null, p(text('a')))), node('orderedList', { start: 1 }, node('listItem', null, p(text('another')))),
      node('bulletList', null, node('listItem', null, p()), node('listItem', null, p(), node('bulletList', null, node('listItem', null, p(text('below nothing')))))),
      node('bulletList', null, node('listItem', null, p(text('code')), node('codeBlock', null, text('x\n\ny'))), node('listItem', null, p(text('quote')), node('blockquote', null, p(text('q')))))
    ]
  },
  blocknote: {
    everything: [
      { type: 'heading', props: { level: 1 }, content: 'A title' },
      { type: 'paragraph', content: [{ type: 'text', text: 'Plain ', styles: {} }, { type: 'text', text: 'bold', styles: { bold: true } }, { type: 'text', text: ' and ', styles: {} }, { type: 'text', text: 'red', styles: { textColor: 'red' } }, { type: 'text', text: 'code', styles: { code: true } }, { type: 'link', href: 'https://example.org', content: 'a link' }] },
      { type: 'bulletListItem', content: 'one', children: [{ type: 'bulletListItem', content: 'one a' }, { type: 'numberedListItem', content: 'one 1' }, { type: 'numberedListItem', content: 'one 2' }] },
      { type: 'bulletListItem', content: 'two', children: [{ type: 'paragraph', content: 'a paragraph of two' }] },
      { type: 'numberedListItem', props: { start: 3 }, content: 'three' },
      { type: 'numberedListItem', content: 'four' },
      { type: 'checkListItem', props: { checked: true }, content: 'done' },
      { type: 'checkListItem', content: 'to do' },
      { type: 'toggleListItem', content: 'a toggle', children: [{ type: 'paragraph', content: 'inside it' }] },
      { type: 'paragraph', content: 'with nested blocks', children: [{ type: 'heading', props: { level: 2 }, content: 'nested' }] },
      { type: 'quote', content: 'Quoted.' },
      { type: 'codeBlock', props: { language: 'javascript' }, content: 'let a = 1\nlet b = `x`' },
      { type: 'table', content: { type: 'tableContent', headerRows: 1, rows: [{ cells: ['a', 'b'] }, { cells: ['1', '2'] }] } },
      { type: 'image', props: { url: 'https://example.org/i.png', name: 'i.png', caption: 'A caption' } },
      { type: 'file', props: { url: 'https://example.org/f.pdf', name: 'f.pdf' } },
      { type: 'divider' },
      { type: 'paragraph', content: '' },
      { type: 'paragraph', content: 'two\nlines' }
    ]
  }
}

export const quill = {
  plain: [{ insert: 'just text\nwith *two* lines\n' }],
  everything: [
    { insert: 'A title' }, { insert: '\n', attributes: { header: 1 } },
    { insert: 'Plain, ' }, { insert: 'bold', attributes: { bold: true } }, { insert: ' and ' }, { insert: 'a link', attributes: { link: 'https://example.org' } }, { insert: '.\n' },
    { insert: 'one' }, { insert: '\n', attributes: { list: 'bullet' } },
    { insert: 'one a' }, { insert: '\n', attributes: { list: 'bullet', indent: 1 } },
    { insert: 'two' }, { insert: '\n', attributes: { list: 'bullet' } },
    { insert: 'first' }, { insert: '\n', attributes: { list: 'ordered' } },
    { insert: 'done' }, { insert: '\n', attributes: { list: 'checked' } },
    { insert: 'to do' }, { insert: '\n', attributes: { list: 'unchecked' } },
    { insert: 'let a' }, { insert: '\n', attributes: { 'code-block': 'javascript' } },
    { insert: '= 1' }, { insert: '\n', attributes: { 'code-block': 'javascript' } },
    { insert: 'quoted' }, { insert: '\n', attributes: { blockquote: true } },
    { insert: 'H' }, { insert: '2', attributes: { script: 'sub' } }, { insert: 'O\n' },
    { insert: { image: 'https://example.org/i.png' } }, { insert: '\n' },
    { insert: { divider: true } }, { insert: 'the end\n' }
  ]
}
