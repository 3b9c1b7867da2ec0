// Package lib0 reads and writes the primitive encoding under every Yjs format:
// variable-length integers, byte strings, UTF-8 strings, "any" values, the JSON
// text that stands inside the formats, and the run-length columns of format 2.
//
// Append functions add to a slice and return it, like append. A Reader is strict:
// integers above 2⁵³-1, invalid UTF-8, unknown tags and reads past the end are
// errors, and no claimed count makes it allocate more than a small multiple of the
// bytes that are really there. Nothing in this package is safe for concurrent use
// of one value; nothing in it keeps global state.
//
// The encodings are those of lib0 0.2, checked against vectors made by it.
//
// # Decisions
//
// Padded integers (80 00 for 0) are read, because other producers may write them,
// and are never written. Reader.Padded tells that one was met, so that a caller can
// re-encode what it would otherwise copy.
//
// Strings that hold half of a surrogate pair exist in memory as WTF-8: the half is
// encoded as three bytes as if it were a character. They come from cutting strings
// and from format 2, which joins strings before encoding them, and are never written:
// AppendVarString writes U+FFFD in their place, as JavaScript's encoder does.
package lib0
