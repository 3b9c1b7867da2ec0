// Package sqlite keeps everything but files in one SQLite database: the update
// logs with their heads and snapshots, heaps and members, and what package auth
// has to remember.
//
// A Store is safe for concurrent use. One goroutine owns the one connection that
// writes; it commits whatever queued up while the last transaction was being
// synced as one transaction, so thousands of writers share an fsync. Readers have
// connections of their own, which cannot write, and never wait for the writer.
//
// # Invariants
//
// A write that returned nil is on disk: the log is a WAL with synchronous=FULL.
// Seqs have no holes and At never falls, whatever the clock does; both continue
// from what is stored, so a second process that writes does no harm. An update, a
// snapshot and what a commit writes of a head carry a CRC-32C.
//
// # Decisions
//
// A database that could not sync is not trusted again by this process: the kernel
// may have dropped the pages, and a second fsync says nothing about them. Writes
// are refused until a restart has read what is really there. A full disk is
// different: nothing was written, so the next write simply tries.
//
// A log is one append-only table and each row points back to the block's row
// before it. Clustering rows by block makes reads a little faster and appends
// several times slower: see bench_test.go.
//
// Checkpoints are made by the writer after a commit and never by SQLite on its
// own, because SQLite drops the error of an automatic one.
package sqlite
