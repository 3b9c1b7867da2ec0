package powertest

import (
	"bufio"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Trace is what happened to the files in a folder, in order.
type Trace []Event

// Event is one thing that happened, or that the program told the world.
type Event struct {
	Kind   Kind
	Path   string // of a name, or of the folder that is synced, below the recorded one: "" is that itself
	file   int    // which file: a number that outlives its name
	folder bool   // it is a name of a folder
	off    int64  // of a write, or the size after a truncation
	data   []byte
	upTo   int    // a sync is of what happened before this event
	ack    string // a line that the program printed
}

// Kind is what an Event can be.
type Kind int

// A rename or a link is a Create of the new name, and a Remove of the old one.
const (
	Create Kind = iota
	Remove
	Write
	Truncate
	Sync       // of a file, which Path is one name of
	SyncFolder // of the names in it
	Ack
)

// Without returns the trace of a program that does not do what drop says.
func (tr Trace) Without(drop func(Event) bool) Trace {
	var left Trace
	moved := make([]int, len(tr)+1) // where an event is now
	for i, e := range tr {
		moved[i] = len(left)
		if drop(e) {
			continue
		}
		e.upTo = moved[min(e.upTo, i)]
		left = append(left, e)
	}
	return left
}

// NeedStrace skips a test where strace cannot trace, or fails it where REQUIRE_TESTS says
// that crashes are tested.
func NeedStrace(t *testing.T) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "strace", "-f", "-o", os.DevNull, "true").CombinedOutput()
	if err == nil {
		return
	}
	if strings.Contains(os.Getenv("REQUIRE_TESTS"), "crash") {
		t.Fatalf("strace does not work here: %v\n%s", err, out)
	}
	t.Skipf("SKIPPED: strace does not work here, so crashes are not tested: %v\n%s", err, out)
}

// calls are all that change files or names, or descriptors of them.
const calls = "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,splice," +
	"fsync,fdatasync,sync_file_range,truncate,ftruncate,fallocate,mkdir,mkdirat,link,linkat,symlink,symlinkat," +
	"rename,renameat,renameat2,unlink,unlinkat,rmdir,close,dup,dup2,dup3"

// Record runs the command that is made behind words that it has to begin with, and returns
// what happens in dir, which is empty, and what the command prints.
func Record(t *testing.T, dir string, command func(wrap ...string) *exec.Cmd) Trace {
	t.Helper()
	log := filepath.Join(t.TempDir(), "strace")
	cmd := command("strace", "-f", "-o", log, "-xx", "-s", "1000000", "-e", "signal=none", "-e", "trace="+calls)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("workload: %v", err)
	}
	f, err := os.Open(log)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tr := tracer{dir: dir, fds: map[int]opened{}, names: map[string]opened{}, pending: map[string]begun{}}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if err := tr.line(lines.Text()); err != nil {
			t.Fatalf("%v in %.300q", err, lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if len(tr.events) < 100 {
		t.Fatalf("recorded only %d events", len(tr.events))
	}
	return tr.events
}

// tracer makes events of strace's lines.
type tracer struct {
	dir     string
	fds     map[int]opened
	names   map[string]opened // by its present path
	files   int
	pending map[string]begun // by thread
	events  Trace
}

// opened is a file or a folder that the tracer knows.
type opened struct {
	file   int
	folder bool
	path   string
}

// begun is a call that has not returned.
type begun struct {
	call string
	at   int // how many events were before
}

// line reads a line. What a call asks for may happen as soon as it is made, so a
// write or an acknowledgement counts from then; a sync only when it has returned, and of
// what was there when it was called.
func (tr *tracer) line(line string) error {
	thread, rest, ok := strings.Cut(line, " ")
	rest = strings.TrimLeft(rest, " ")
	if !ok || strings.HasPrefix(rest, "+++") || strings.HasPrefix(rest, "---") {
		return nil
	}
	if strings.HasPrefix(rest, "<... ") {
		_, tail, _ := strings.Cut(rest, " resumed>")
		b := tr.pending[thread]
		delete(tr.pending, thread)
		return tr.returned(b.call+tail, b.at)
	}
	at := len(tr.events)
	if call, ok := strings.CutSuffix(rest, " <unfinished ...>"); ok {
		tr.pending[thread] = begun{call, at}
		return tr.called(call)
	}
	if err := tr.called(rest); err != nil {
		return err
	}
	return tr.returned(rest, at)
}

func (tr *tracer) called(call string) error {
	name, args, _ := strings.Cut(call, "(")
	fields := strings.Split(strings.TrimRight(args, ") "), ", ")
	fields[0], _, _ = strings.Cut(fields[0], ")")
	fd, notOpen := strconv.Atoi(strings.TrimSpace(fields[0]))
	of, known := tr.fds[fd]
	switch name {
	case "close":
		delete(tr.fds, fd) // at once: another thread may have the number before it returns
		return notOpen
	case "write":
		if fd != 1 {
			break
		}
		data, err := unquote(fields[1])
		for l := range strings.Lines(string(data)) {
			tr.events = append(tr.events, Event{Kind: Ack, ack: strings.TrimSpace(l)})
		}
		return err
	case "pwrite64":
		if !known {
			return nil
		}
		data, err := unquote(fields[1])
		off, offErr := number(fields[3])
		tr.events = append(tr.events, Event{Kind: Write, Path: of.path, file: of.file, off: off, data: data})
		return errors.Join(err, offErr)
	case "ftruncate":
		if !known {
			return nil
		}
		size, err := number(fields[1])
		tr.events = append(tr.events, Event{Kind: Truncate, Path: of.path, file: of.file, off: size})
		return err
	case "writev", "pwritev", "pwritev2", "fallocate", "sync_file_range", "dup", "dup2", "dup3":
	case "copy_file_range", "sendfile", "splice":
		at := 0
		if name != "sendfile" {
			at = 2
		}
		to, err := strconv.Atoi(fields[at])
		if err != nil {
			return err
		}
		_, known = tr.fds[to]
	case "creat", "truncate", "symlink", "symlinkat":
		known = true
	default:
		return nil
	}
	if known {
		return errors.New("a call that cannot be recorded")
	}
	return nil
}

func number(s string) (int64, error) {
	s, _, _ = strings.Cut(s, ")")
	return strconv.ParseInt(strings.TrimSpace(s), 10, 64)
}

func (tr *tracer) returned(call string, at int) error {
	name, args, _ := strings.Cut(call, "(")
	end := strings.LastIndex(args, ") ")
	if end < 0 {
		return nil
	}
	result, _, _ := strings.Cut(strings.TrimLeft(args[end+2:], " ="), " ")
	code, err := strconv.Atoi(result)
	if err != nil || code < 0 {
		return nil // it failed, or never returned
	}
	fields := strings.Split(args[:end], ", ")
	switch name {
	case "open", "mkdir", "unlink", "rmdir":
		fields = slices.Insert(fields, 0, "AT_FDCWD")
	case "link", "rename":
		fields = []string{"AT_FDCWD", fields[0], "AT_FDCWD", fields[1]}
	}
	switch name {
	case "fsync", "fdatasync":
		fd, _ := strconv.Atoi(fields[0])
		switch of, known := tr.fds[fd]; {
		case known && of.folder:
			tr.events = append(tr.events, Event{Kind: SyncFolder, Path: of.path, upTo: at})
		case known:
			tr.events = append(tr.events, Event{Kind: Sync, Path: of.path, file: of.file, upTo: at})
		}
	case "open", "openat":
		return tr.open(fields, code)
	case "mkdir", "mkdirat":
		path, within, err := tr.path(fields, 0)
		if within {
			tr.create(path, opened{folder: true, path: path})
		}
		return err
	case "unlink", "unlinkat", "rmdir":
		path, within, err := tr.path(fields, 0)
		if within {
			tr.remove(path)
		}
		return err
	case "link", "linkat", "rename", "renameat", "renameat2":
		return tr.link(fields, strings.HasPrefix(name, "rename"))
	}
	return nil
}

// path returns where the descriptor and the name in fields lead from at on, and whether it
// is within the folder.
func (tr *tracer) path(fields []string, at int) (path string, within bool, err error) {
	raw, err := unquote(fields[at+1])
	path = string(raw)
	if fd, isFolder := strconv.Atoi(fields[at]); isFolder == nil && !filepath.IsAbs(path) {
		of, known := tr.fds[fd]
		return filepath.Join(of.path, path), known, err
	}
	if path == tr.dir {
		return "", true, err
	}
	path, within = strings.CutPrefix(path, tr.dir+"/")
	return filepath.Clean(path), within, err
}

func (tr *tracer) create(path string, of opened) {
	if !of.folder && of.file == 0 {
		tr.files++
		of.file = tr.files
	}
	tr.names[path] = of
	tr.events = append(tr.events, Event{Kind: Create, Path: path, file: of.file, folder: of.folder})
}

func (tr *tracer) remove(path string) {
	if of, ok := tr.names[path]; ok {
		tr.events = append(tr.events, Event{Kind: Remove, Path: path, file: of.file, folder: of.folder})
		delete(tr.names, path)
	}
}

func (tr *tracer) link(fields []string, rename bool) error {
	from, within, err := tr.path(fields, 0)
	to, alsoWithin, toErr := tr.path(fields, 2)
	if !within && !alsoWithin || err != nil || toErr != nil {
		return errors.Join(err, toErr)
	}
	of, known := tr.names[from]
	if !known || of.folder || !within || !alsoWithin {
		return errors.New("a name that comes from elsewhere, or a folder's")
	}
	if tr.names[to] == of { // of the same file already: nothing happens
		return nil
	}
	of.path = to
	tr.create(to, of)
	if rename {
		tr.remove(from)
	}
	return nil
}

func (tr *tracer) open(fields []string, fd int) error {
	path, within, err := tr.path(fields, 0)
	if !within || strings.HasSuffix(path, "-shm") {
		delete(tr.fds, fd)
		return err
	}
	if path == "" {
		tr.fds[fd] = opened{folder: true}
		return err
	}
	if _, ok := tr.names[path]; !ok {
		tr.create(path, opened{path: path})
	} else if strings.Contains(fields[2], "O_TRUNC") {
		tr.events = append(tr.events, Event{Kind: Truncate, Path: path, file: tr.names[path].file})
	}
	tr.fds[fd] = tr.names[path]
	return err
}

// unquote reads a string as strace -xx writes it.
func unquote(s string) ([]byte, error) {
	s, _, _ = strings.Cut(strings.Trim(s, `"`), `"`)
	return hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
}
