// Package tree reads folders that belong to somebody else.
//
// A Root is a folder that an administrator allowed. Whatever path is asked of it, nothing
// outside of it is opened: no "..", no symbolic link, and no swap of a folder for a link
// while it is read leads out. Folders and files are opened for reading only, and where the
// system allows it without a trace in their times of access. Nothing is ever written,
// renamed or locked.
//
// Only folders and regular files count. Links, devices, pipes and sockets are skipped, and
// so are file systems that are no files, as /proc. What a .heapsyncignore says is left out;
// the file is written as a .gitignore is.
//
// Paths are absolute, clean, and bytes: a name need not be UTF-8.
//
// # Decisions
//
// [os.Root] keeps paths within a root, but follows links inside it. So every folder is
// entered name by name, and what was opened must be what the listing had: a link that was
// put there meanwhile is another file.
//
// The rules of a .heapsyncignore are our own two hundred lines: the libraries there are
// differ from git in the corners. A test compares them with git itself.
package tree
