// Package ydoc reads and writes Yjs updates and computes on their bytes: merging,
// diffs, state vectors, conversion between the two formats. No document is built.
//
// It does no I/O, reads no clock and starts no goroutine. Values are not safe for
// concurrent use while one of them changes; an Update is read-only after decoding.
// Clocks and lengths count elements; a UTF-16 code unit of text is one element.
// Ranges are half open: [from, to).
//
// The formats are those of Yjs 13, V1 and V2, checked against vectors in testdata
// that Yjs 13.6 made.
//
// # Decisions
//
// Bytes from a peer are decoded in full before anything is done with them, and what
// real Yjs 13 could choke on is refused: see DecodeUpdate. It costs one pass.
//
// Structs live in flat slices of small values that point into the bytes they were
// read from, so merging allocates a handful of slices whatever the number of
// structs, and copies content once, into the result.
//
// A merge joins neighbours that are one run, which Y.mergeUpdates does not: merging
// the log of a text document gives about the size of its state. Exact asks for
// the bytes that Yjs would write.
//
// There are two doors. DecodeUpdate is for strangers: it checks everything that
// bytes alone can show. Merger and the functions on bytes are for what went through
// it before: they stay memory-safe and return errors for garbage, and skip what only
// matters to clients. What needs the state of the document beside the update is left
// to the caller, who should ask, before others see an update: Conflict (two writers
// with one client id), TypeDepth (types nested so deep that clients overflow
// their stacks), IntegrationSteps (items that take for ever to be put in order), Ready
// or Split (references that cannot be met), SplitValue (a value of a map that would
// break its collection), and cut off what the state has
// already (AppendDiff), because Yjs trusts the known part of a struct blindly.
// TestNothingWeAcceptHarmsYjs does just that, with real Yjs as the judge.
package ydoc
