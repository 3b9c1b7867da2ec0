// Package disk keeps blobs as files of a folder:
//
//	sha256/ab/cd/abcd…   a blob, named by its hash, mode 0600
//	tmp/                 what is on its way, emptied by Open
//
// A file appears under its name in one step and only when all of it is synced; then
// the folders that name it are synced too. So whatever is there is whole, unless the
// disk or somebody else has changed it.
//
// # Decisions
//
// A file that is put is linked, not copied and not moved: the caller can still undo or
// repeat what it does around Put, and the bytes are written once. Where a link cannot
// be made, as across file systems, it is a copy.
//
// A blob that is put again replaces the one that is there. That costs no more than to
// look whether it is, and heals one that was damaged.
package disk
