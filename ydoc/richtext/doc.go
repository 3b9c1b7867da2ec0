// Package richtext turns rich text that editors keep in Yjs documents into Markdown,
// HTML and plain text, and Markdown into rich text.
//
// It knows the documents of ProseMirror and Tiptap (an XML fragment of elements such as
// paragraph, heading and bulletList, marks being formats of XML text), of BlockNote
// (blockGroup and blockContainer around the like) and of Quill (a text whose line feeds
// carry the format of their line). What it does not know degrades to its text.
//
// A type that is read, and the document that holds it, must not change meanwhile. Only
// AppendMarkdown edits.
//
// # Decisions
//
// Documents come from strangers. HTML has nothing but the elements this package writes,
// with text and attributes escaped; a link goes to http, https, mailto or a relative
// address, an image comes from http, https or a relative address, and any other
// address is dropped. Blocks nested deeper than 64 degrade to their text, so that
// neither stacks nor indentation grow without bound.
//
// Markdown is CommonMark with the tables, task lists and strikethrough of GitHub. Text
// is escaped where it would mean something. Marks that Markdown has no sign for, and
// signs that would not be recognised where they stand (CommonMark 6.2 wants spaces or
// punctuation about some), are written as inline HTML, which every Markdown has.
//
// A text without formats is taken for text, not for Markdown somebody typed: it is
// escaped like any other.
package richtext
