// Package blocks is the product's domain: heaps and their members, blocks and
// their update logs, what may be appended to a log and what may not, and what
// has changed since a moment.
//
// A heap (in routes also "workspace") is a space with members. A block is one
// unit of content in a heap and has one Yjs document, which is kept as a log of
// updates and never built in memory to sync it: state vectors, merges and diffs
// are computed on bytes by package ydoc.
//
// The package knows no HTTP, no socket and no SQL. What it needs from a store it
// declares in store.go; storage implements it. Times are Unix milliseconds.
//
// # Invariants
//
// An update is reported as committed only after the transaction that holds it
// is on disk. The log of a block holds only updates that integrate on what came
// before: what waits for updates the server has not seen is held apart, durably,
// and moves to the log when they arrive. So the state vector of a block is exact,
// and no subscriber ever gets a struct it cannot integrate.
//
// # Decisions
//
// Bounds that would need the whole document to be exact (how deep its types
// nest) are kept as a cheap upper bound in the block's head and computed exactly
// only when the bound is reached.
//
// Whether a block is in the trash is for its document to say, so that devices say it
// offline. How long it has been there is counted from when the server read of it: a
// device whose clock is wrong must not have a block deleted at once.
//
// Deletion for good runs between two transactions of the committer. It is told in the
// order of commits, and there is one moment from which on every append is refused.
//
// What is made of files is kept by the hash of the file, not of a block: two blocks with
// the same film have it decoded once. A client's own pictures belong to its block, since
// they need not show what the file does. The queue is the ledger of sources itself, so that
// nothing has to be found again after a crash; what somebody waits for is kept in memory,
// and asked for again.
//
// Ids of imported notes are made of the heap and the path in the archive: who sends an
// archive twice has its notes once.
package blocks
