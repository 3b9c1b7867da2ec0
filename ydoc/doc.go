// Package ydoc holds Yjs documents, and reads and writes their updates.
//
// A Doc is a whole document: it applies updates in any order, is read and edited by
// means of its types (Text, Array, Map, XML), tells observers what changed, and encodes
// its state. The rest computes on bytes, without building a document: merging, diffs,
// state vectors, conversion between the two formats.
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
// A Doc is slices of small values that name each other by index: structs, the places
// where they are, and one slice of bytes with all content. There is no pointer in a
// struct, so the garbage collector has nothing to follow, and typing at the end of what
// was typed before makes no struct at all. Indexes are looked up in a tree, which a
// list gets when the first is asked for in it; a Doc that only integrates has none.
// Clocks are 32 bits: half the memory of a struct, and clients written in Rust have
// no more either.
//
// What a Doc holds is what Yjs 13 would hold after the same updates, struct by struct,
// so Encode gives the bytes of Y.encodeStateAsUpdate. Three things differ. After remote
// changes Yjs deletes formats that have become redundant: a server must not author
// edits that nobody made. Text here cannot hold half a surrogate pair that somebody
// typed alone, since strings of Go do not: it is U+FFFD at once, as it is for everyone
// but its writer. And structs that wait for others are tried again as soon as those have
// come, where Yjs now and then leaves them until the next update.
//
// Text of length 0 is what Rust (ywasm 0.18) writes where a pair of surrogates is cut.
// Yjs stores such structs and stumbles over them later, so none is passed on; refusing
// them would lock an honest client out. DecodeUpdate reads them so that the clocks of
// what follows are those that their writers count.
//
// An index beyond the end panics, as with slices. An edit of what was deleted meanwhile
// does nothing: with other writers about that is no mistake.
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
