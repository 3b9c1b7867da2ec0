package blocks_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/ydoc"
)

// scanWorld is a world that may scan a folder.
type scanWorld struct {
	*filesWorld
	media string // the folder, which is allowed

	scansMu sync.Mutex // guards below
	roots   []string
	over    []blocks.Scan
	wake    chan struct{}
}

func newScanWorld(t testing.TB) *scanWorld {
	w := &scanWorld{filesWorld: newFilesWorld(t, blocks.Limits{}), media: filepath.Join(t.TempDir(), "media")}
	makeFolder(t, w.media)
	w.roots = []string{w.media}
	w.stop()
	w.cfg.MediaType = func(name, _ string, _ []byte) string { return "text/" + strings.TrimPrefix(filepath.Ext(name), ".") }
	w.cfg.Scan = blocks.ScanConfig{
		Roots: func(context.Context) ([]string, error) {
			w.scansMu.Lock()
			defer w.scansMu.Unlock()
			return slices.Clone(w.roots), nil
		},
		Never: []string{w.dir}, Every: -1, Settle: -1, Quiet: 10 * time.Millisecond,
	}
	w.start()
	return w
}

// start runs an instance, and hears of its scans.
func (w *scanWorld) start() {
	w.run()
	w.wake = make(chan struct{}, 1)
	w.OnScan(func(c blocks.ScanChange) {
		if !c.Over {
			return
		}
		w.scansMu.Lock()
		w.over = append(w.over, c.Scan)
		w.scansMu.Unlock()
		select {
		case w.wake <- struct{}{}:
		default:
		}
	})
}

func makeFolder(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// write makes a file in the folder, and the folders that it is in.
func (w *scanWorld) write(name, content string) string {
	w.t.Helper()
	full := filepath.Join(w.media, name)
	makeFolder(w.t, filepath.Dir(full))
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
	return full
}

func (w *scanWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// begin starts a scan as bob.
func (w *scanWorld) beginScan(req blocks.ScanRequest) blocks.Scan {
	w.t.Helper()
	if req.Path == "" {
		req.Path = w.media
	}
	req.Heap = "h"
	sc, err := w.StartScan(w.t.Context(), author("bob"), req)
	w.must(err)
	return sc
}

// scan scans all, and waits for the end.
func (w *scanWorld) scan(req blocks.ScanRequest) blocks.Scan {
	w.t.Helper()
	req.Recursive = true
	return w.waitFor(w.beginScan(req).ID)
}

func (w *scanWorld) waitFor(id string) blocks.Scan {
	w.t.Helper()
	return w.waitScan(func(sc blocks.Scan) bool { return sc.ID == id })
}

// waitScan waits for a scan that is over and was not waited for.
func (w *scanWorld) waitScan(is func(blocks.Scan) bool) blocks.Scan {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for {
		w.scansMu.Lock()
		at := slices.IndexFunc(w.over, is)
		var found blocks.Scan
		if at >= 0 {
			found = w.over[at]
			w.over = slices.Delete(w.over, at, at+1)
		}
		w.scansMu.Unlock()
		if at >= 0 {
			return found
		}
		select {
		case <-w.wake:
		case <-ctx.Done():
			w.t.Fatal("the scan did not end")
		}
	}
}

func (w *scanWorld) wantScan(sc blocks.Scan, status string, fresh, changed, moved, vanished int64) {
	w.t.Helper()
	if sc.Status != status || sc.New != fresh || sc.Changed != changed || sc.Moved != moved || sc.Vanished != vanished {
		w.t.Fatalf("scan %s: %d new, %d changed, %d moved, %d vanished (%+v), want %s: %d, %d, %d, %d",
			sc.Status, sc.New, sc.Changed, sc.Moved, sc.Vanished, sc, status, fresh, changed, moved, vanished)
	}
}

// placed is what a block of a scanned file or folder says.
type placed struct {
	block      blocks.BlockID
	typ, title string
	parent     string
	hash, name string
	trashed    bool
	path       string
	state      blocks.ScannedState
	updates    int64
	size       float64
}

// at returns what stands for a path of the folder.
func (w *scanWorld) at(name string) placed {
	w.t.Helper()
	list, err := w.store.ScannedAt(w.t.Context(), "h", []string{filepath.Join(w.media, name)})
	w.must(err)
	if len(list) != 1 {
		w.t.Fatalf("%d entries for %q", len(list), name)
	}
	return w.placedOf(list[0])
}

func (w *scanWorld) placedOf(c blocks.Scanned) placed {
	w.t.Helper()
	p := placed{block: c.Block, path: c.Path, state: c.State}
	err := w.View(w.t.Context(), blocks.BlockKey{Heap: "h", Block: c.Block}, func(head blocks.Head, doc *ydoc.Doc) error {
		about := doc.Map("block")
		text := func(m ydoc.Map, key string) string {
			v, _ := m.Value(key)
			s, _ := v.(string)
			return s
		}
		p.typ, p.title, p.parent, p.updates = text(about, "type"), text(about, "title"), text(about, "parent"), head.Updates
		_, p.trashed = about.Value("trashed_at")
		if v, ok := about.Value("file"); ok {
			m := v.(ydoc.Type).AsMap()
			p.hash, p.name = text(m, "hash"), text(m, "name")
			v, _ := m.Value("size")
			p.size, _ = v.(float64)
		}
		return nil
	})
	w.must(err)
	return p
}

// read returns the file of a block as a member reads it.
func (w *scanWorld) read(block blocks.BlockID) (string, error) {
	f, err := w.OpenFile(w.t.Context(), "eve", blocks.BlockKey{Heap: "h", Block: block})
	if err != nil {
		return "", err
	}
	defer f.Close()
	content, err := io.ReadAll(f.Content())
	return string(content), err
}

func (w *scanWorld) wantContent(name, content string) placed {
	w.t.Helper()
	p := w.at(name)
	if got, err := w.read(p.block); err != nil || got != content {
		w.t.Fatalf("%s reads %q, %v, want %q", name, got, err, content)
	}
	if p.hash != hashOf([]byte(content)).String() || p.typ != "file" || p.size != float64(len(content)) {
		w.t.Errorf("the block of %s says %+v", name, p)
	}
	return p
}

// census lists all blocks of the heap that are not in the trash.
func (w *scanWorld) census() (list []blocks.BlockID) {
	w.t.Helper()
	w.must(w.store.Seqs(w.t.Context(), "h", func(id blocks.BlockID, _ blocks.Seq) { list = append(list, id) }))
	slices.Sort(list)
	return list
}

// listing is all that can be told of a tree without asking us.
func listing(t testing.TB, root string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		fmt.Fprintf(&b, "%q %s %d %d %d %d %d", path, info.Mode(), info.Size(), info.ModTime().UnixNano(), st.Ino, st.Nlink, st.Uid)
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %s", hashOf(content))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestScanMakesOneBlockOfEachFileInPlace(t *testing.T) {
	w := newScanWorld(t)
	odd := []string{"new\nline.txt", "bad \xff\xfe.txt", "\u202egpj.exe.txt", "sp ace.txt", strings.Repeat("n", 251) + ".txt"}
	for i, name := range odd {
		w.write("odd/"+name, fmt.Sprint("odd ", i))
	}
	w.write("a.txt", "one")
	w.write("sub/deep/b.txt", "two")
	w.write("sub/twin.txt", "one")
	w.write("empty.txt", "")
	w.write(".DS_Store", "litter")
	w.write("film.part", "on its way")
	w.write("sub/.heapsyncignore", "*.log\n!keep.log\n")
	w.write("sub/x.log", "ignored")
	w.write("sub/keep.log", "kept")
	outside := filepath.Join(t.TempDir(), "secret.txt")
	w.must(os.WriteFile(outside, []byte("secret"), 0o644))
	w.must(os.Symlink(outside, filepath.Join(w.media, "link.txt")))
	w.must(os.Symlink(w.media, filepath.Join(w.media, "loop")))
	w.must(syscall.Mkfifo(filepath.Join(w.media, "pipe"), 0o644))
	w.must(os.Link(outside, filepath.Join(w.media, "hard.txt")))
	before := listing(t, w.media)

	sc := w.scan(blocks.ScanRequest{})
	w.wantScan(sc, blocks.ScanDone, int64(len(odd))+6, 0, 0, 0)
	if sc.Skipped != 3 || sc.Errors != 0 {
		t.Errorf("%d skipped, %d errors", sc.Skipped, sc.Errors)
	}
	if after := listing(t, w.media); after != before {
		t.Errorf("the folder was\n%s\nand is\n%s", before, after)
	}
	root, a := w.at("."), w.wantContent("a.txt", "one")
	if root.typ != "folder" || root.title != "media" || root.parent != "" || a.title != "a.txt" || a.parent != string(root.block) || a.name != "a.txt" {
		t.Errorf("%+v in %+v", a, root)
	}
	deep := w.at("sub/deep")
	if b := w.wantContent("sub/deep/b.txt", "two"); b.parent != string(deep.block) || deep.parent != string(w.at("sub").block) || deep.typ != "folder" {
		t.Errorf("%+v in %+v", b, deep)
	}
	if twin := w.wantContent("sub/twin.txt", "one"); twin.block == a.block {
		t.Error("two files are one block")
	}
	w.wantContent("hard.txt", "secret") // a regular file like any other
	w.wantContent("empty.txt", "")
	w.wantContent("sub/keep.log", "kept")
	for i, name := range odd {
		if p := w.wantContent("odd/"+name, fmt.Sprint("odd ", i)); strings.ContainsAny(p.title, "\n\u202e") || p.title == "" {
			t.Errorf("title %q of %q", p.title, name)
		}
	}
	usage, files, err := w.store.FileUsage(t.Context(), "bob")
	if err != nil || usage != 0 || files != 0 {
		t.Errorf("%d bytes of %d files count against the quota, %v", usage, files, err)
	}
	census := w.census()
	again := w.scan(blocks.ScanRequest{})
	w.wantScan(again, blocks.ScanDone, 0, 0, 0, 0)
	if again.Bytes != 0 || again.Done != sc.Done || !slices.Equal(w.census(), census) {
		t.Errorf("a second scan hashed %d bytes, found %d of %d", again.Bytes, again.Done, sc.Done)
	}
}

func TestRescanHashesOnlyWhatChanged(t *testing.T) {
	w := newScanWorld(t)
	for i := range 30 {
		w.write(fmt.Sprint(i, ".txt"), fmt.Sprint("content ", i))
	}
	w.scan(blocks.ScanRequest{})
	was := w.wantContent("7.txt", "content 7")
	w.write("7.txt", "another")
	if _, err := w.read(was.block); !errors.Is(err, blocks.ErrFileChanged) {
		t.Errorf("a file that has changed reads %v", err)
	}
	sc := w.waitScan(func(sc blocks.Scan) bool { return true }) // that reading has asked for
	w.wantScan(sc, blocks.ScanDone, 0, 1, 0, 0)
	if sc.Bytes != int64(len("another")) {
		t.Errorf("%d bytes were hashed", sc.Bytes)
	}
	if now := w.wantContent("7.txt", "another"); now.block != was.block {
		t.Errorf("another block: %+v, was %+v", now, was)
	}
}

func TestMovedFilesKeepTheirBlocks(t *testing.T) {
	w := newScanWorld(t)
	w.write("a/one.txt", "one")
	w.write("a/two.txt", "two")
	w.write("b/three.txt", "three")
	w.scan(blocks.ScanRequest{})
	one, two, three, folder := w.at("a/one.txt"), w.at("a/two.txt"), w.at("b/three.txt"), w.at("a")
	tag := func(block blocks.BlockID, key, value string) {
		_, err := w.Edit(t.Context(), author("carol"), blocks.BlockKey{Heap: "h", Block: block}, func(_ blocks.Head, doc *ydoc.Doc) error {
			doc.Map("block").Set(key, value)
			return nil
		})
		w.must(err)
	}
	tag(one.block, "tag", "mine")
	tag(two.block, "title", "My own title")

	w.must(os.Rename(filepath.Join(w.media, "a/one.txt"), filepath.Join(w.media, "b/uno.txt")))
	w.must(os.Rename(filepath.Join(w.media, "a/two.txt"), filepath.Join(w.media, "b/dos.txt")))
	copied := w.write("c/tres.txt", "three") // another inode
	w.must(os.Chtimes(copied, time.Unix(1, 0), time.Unix(1, 0)))
	w.must(os.Remove(filepath.Join(w.media, "b/three.txt")))
	sc := w.scan(blocks.ScanRequest{})
	w.wantScan(sc, blocks.ScanDone, 0, 0, 3, 0)
	uno, dos, tres := w.wantContent("b/uno.txt", "one"), w.wantContent("b/dos.txt", "two"), w.wantContent("c/tres.txt", "three")
	if uno.block != one.block || dos.block != two.block || tres.block != three.block {
		t.Errorf("%+v %+v %+v, were %+v %+v %+v", uno, dos, tres, one, two, three)
	}
	if uno.title != "uno.txt" || uno.name != "uno.txt" || uno.parent != string(w.at("b").block) || tres.parent != string(w.at("c").block) {
		t.Errorf("%+v, %+v", uno, tres)
	}
	if dos.title != "My own title" {
		t.Errorf("a title of the user's became %q", dos.title)
	}
	// A folder that is renamed stays itself, with all that is in it.
	w.must(os.Rename(filepath.Join(w.media, "b"), filepath.Join(w.media, "renamed")))
	b := w.placedOf(w.row("b"))
	w.wantScan(w.scan(blocks.ScanRequest{}), blocks.ScanDone, 0, 0, 2, 0)
	if now := w.at("renamed"); now.block != b.block || now.title != "renamed" {
		t.Errorf("%+v, was %+v", now, b)
	}
	if now := w.wantContent("renamed/uno.txt", "one"); now.block != one.block || now.parent != string(b.block) {
		t.Errorf("%+v", now)
	}
	if p := w.at("a"); p.block != folder.block || p.trashed {
		t.Errorf("the empty folder: %+v", p)
	}
	w.write("renamed/copy.txt", "one") // both are there: two blocks
	w.wantScan(w.scan(blocks.ScanRequest{}), blocks.ScanDone, 1, 0, 0, 0)
}

func (w *scanWorld) row(name string) blocks.Scanned {
	w.t.Helper()
	list, err := w.store.ScannedAt(w.t.Context(), "h", []string{filepath.Join(w.media, name)})
	w.must(err)
	if len(list) != 1 {
		w.t.Fatalf("%d entries for %q", len(list), name)
	}
	return list[0]
}

func TestManyVanishedFilesNeedConfirmation(t *testing.T) {
	w := newScanWorld(t)
	for i := range 40 {
		w.write(fmt.Sprint("f/", i, ".txt"), fmt.Sprint("content ", i))
	}
	w.scan(blocks.ScanRequest{})
	w.must(os.Remove(filepath.Join(w.media, "f/0.txt"))) // 2.5 %
	w.wantScan(w.scan(blocks.ScanRequest{}), blocks.ScanDone, 0, 0, 0, 1)
	if p := w.at("f/0.txt"); p.state != blocks.ScannedVanished || !p.trashed {
		t.Errorf("%+v", p)
	}
	w.write("f/0.txt", "content 0") // it comes back
	w.wantScan(w.scan(blocks.ScanRequest{}), blocks.ScanDone, 0, 0, 0, 0)
	if p := w.wantContent("f/0.txt", "content 0"); p.trashed || p.state != blocks.ScannedPresent {
		t.Errorf("%+v", p)
	}
	for i := range 3 { // 7.5 %
		w.must(os.Remove(filepath.Join(w.media, fmt.Sprint("f/", i, ".txt"))))
	}
	sc := w.scan(blocks.ScanRequest{})
	w.wantScan(sc, blocks.ScanConfirm, 0, 0, 0, 3)
	for i := range 3 {
		p := w.at(fmt.Sprint("f/", i, ".txt"))
		if _, err := w.read(p.block); p.trashed || !errors.Is(err, blocks.ErrFileOffline) {
			t.Errorf("unconfirmed: %+v, %v", p, err)
		}
	}
	active, _, err := w.ActiveScans(t.Context(), "eve")
	if err != nil || len(active) != 1 || active[0].ID != sc.ID || active[0].Status != blocks.ScanConfirm {
		t.Errorf("active: %+v, %v", active, err)
	}
	w.restartScans()
	if active, _, err = w.ActiveScans(t.Context(), "eve"); err != nil || len(active) != 1 || active[0].ID != sc.ID {
		t.Errorf("active after a restart: %+v, %v", active, err)
	}
	w.wantScan(w.scan(blocks.ScanRequest{Confirm: true}), blocks.ScanDone, 0, 0, 0, 3)
	for i := range 3 {
		if p := w.at(fmt.Sprint("f/", i, ".txt")); !p.trashed {
			t.Errorf("confirmed: %+v", p)
		}
	}
	if active, _, err = w.ActiveScans(t.Context(), "eve"); err != nil || len(active) != 0 {
		t.Errorf("active: %+v, %v", active, err)
	}
}

// restartScans stops the instance and starts another, and waits until it knows its scans.
func (w *scanWorld) restartScans() {
	w.stop()
	w.start()
	other := w.write("zz/other.txt", "other")
	sc := w.waitFor(w.beginScan(blocks.ScanRequest{Path: filepath.Dir(other), Recursive: true}).ID)
	w.wantScan(sc, blocks.ScanDone, 1, 0, 0, 0)
}

func TestAFolderThatIsNotThereDeletesNothing(t *testing.T) {
	for name, leave := range map[string]func(*scanWorld) error{
		"gone": func(w *scanWorld) error { return os.Rename(w.media, w.media+".away") },
		"empty": func(w *scanWorld) error {
			return errors.Join(os.Rename(w.media, w.media+".away"), os.Mkdir(w.media, 0o755))
		},
		"a file": func(w *scanWorld) error {
			return errors.Join(os.Rename(w.media, w.media+".away"), os.WriteFile(w.media, nil, 0o644))
		},
		"a link": func(w *scanWorld) error {
			return errors.Join(os.Rename(w.media, w.media+".away"), os.Symlink("/etc", w.media))
		},
		"not allowed": func(w *scanWorld) error { w.allow(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newScanWorld(t)
			for i := range 10 {
				w.write(fmt.Sprint("f/", i, ".txt"), fmt.Sprint("content ", i))
			}
			sc := w.scan(blocks.ScanRequest{})
			p := w.at("f/3.txt")
			w.must(leave(w))
			if _, err := w.read(p.block); !errors.Is(err, blocks.ErrFileOffline) {
				t.Errorf("read: %v", err)
			}
			for range 2 { // the second time nothing is known of how it was before
				if name == "not allowed" {
					if _, err := w.StartScan(t.Context(), author("bob"), blocks.ScanRequest{Heap: "h", Path: w.media}); !errors.Is(err, blocks.ErrNotScannable) {
						t.Fatal(err)
					}
					continue
				}
				if got := w.scan(blocks.ScanRequest{}); got.Status != blocks.ScanOffline || got.Offline != 10 {
					t.Fatalf("%+v", got)
				}
			}
			if name != "not allowed" {
				for i := range 10 {
					if p := w.at(fmt.Sprint("f/", i, ".txt")); p.trashed || p.state != blocks.ScannedOffline {
						t.Errorf("%+v", p)
					}
				}
				w.must(errors.Join(os.RemoveAll(w.media), os.Rename(w.media+".away", w.media)))
			}
			w.allow(w.media)
			if got, err := w.read(p.block); err != nil || got != "content 3" { // at once
				t.Errorf("back: %q, %v", got, err)
			}
			back := w.scan(blocks.ScanRequest{})
			w.wantScan(back, blocks.ScanDone, 0, 0, 0, 0)
			if back.Bytes != 0 || back.Done != sc.Done {
				t.Errorf("%+v", back)
			}
			if p := w.wantContent("f/3.txt", "content 3"); p.state != blocks.ScannedPresent {
				t.Errorf("%+v", p)
			}
		})
	}
}

func (w *scanWorld) allow(roots ...string) {
	w.scansMu.Lock()
	defer w.scansMu.Unlock()
	w.roots = roots
}

func TestOnlyAllowedFoldersAreScanned(t *testing.T) {
	w := newScanWorld(t)
	w.write("sub/a.txt", "a")
	outside := t.TempDir()
	w.must(os.Symlink(outside, filepath.Join(w.media, "link")))
	for _, path := range []string{outside, filepath.Join(outside, "nothing"), w.media + "/../" + filepath.Base(outside), "/", "/etc", "/proc/self", w.media + "x",
		filepath.Join(w.media, "link"), filepath.Join(w.media, "link") + "/", filepath.Join(w.media, "link/x"), filepath.Join(w.media, "sub/a.txt")} {
		_, err := w.StartScan(t.Context(), author("bob"), blocks.ScanRequest{Heap: "h", Path: path, Recursive: true})
		if !errors.Is(err, blocks.ErrNotScannable) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, path := range []string{"", "media", "../media", "/x\x00y"} {
		if _, err := w.StartScan(t.Context(), author("bob"), blocks.ScanRequest{Heap: "h", Path: path}); !errors.Is(err, blocks.ErrInvalid) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if _, err := w.StartScan(t.Context(), author("bob"), blocks.ScanRequest{Heap: "h", Path: filepath.Join(w.media, "none")}); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := w.StartScan(t.Context(), author("eve"), blocks.ScanRequest{Heap: "h", Path: w.media}); !errors.Is(err, blocks.ErrForbidden) {
		t.Errorf("a viewer: %v", err)
	}
	if _, err := w.StartScan(t.Context(), author("zoe"), blocks.ScanRequest{Heap: "h", Path: w.media}); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("a stranger: %v", err)
	}
	w.allow("/", w.dir, "/proc", "/sys/kernel")
	for _, path := range []string{w.dir, filepath.Join(w.dir, "blobs"), "/proc", "/proc/self", "/sys/kernel"} {
		if _, err := w.StartScan(t.Context(), author("bob"), blocks.ScanRequest{Heap: "h", Path: path}); !errors.Is(err, blocks.ErrNotScannable) {
			t.Errorf("%s: %v", path, err)
		}
	}
	w.allow(filepath.Dir(w.dir)) // around the server's own folder, which is left out like the link
	sc := w.scan(blocks.ScanRequest{Path: filepath.Dir(w.dir)})
	if sc.Status != blocks.ScanDone || sc.Found != 1 || sc.Skipped != 2 {
		t.Errorf("around the data folder: %+v", sc)
	}
}

func TestNothingOutsideIsReadWhileFoldersBecomeLinks(t *testing.T) {
	w := newScanWorld(t)
	outside := t.TempDir()
	for i := range 20 {
		w.write(fmt.Sprint("sub/f", i, ".txt"), "inside")
		w.must(os.WriteFile(filepath.Join(outside, fmt.Sprint("f", i, ".txt")), []byte("outside!"), 0o644))
	}
	sub, aside, link := filepath.Join(w.media, "sub"), filepath.Join(w.media, "aside"), filepath.Join(w.media, "link")
	w.must(os.Symlink(outside, link))
	stop := make(chan struct{})
	swapped := make(chan int)
	go func() {
		n := 0
		defer func() { swapped <- n }()
		for ; ; n++ {
			if n >= 10_000 && n%2 == 0 {
				select {
				case <-stop:
					return
				default:
				}
			}
			if n%2 == 0 { // the folder gives way to the link, and comes back
				_, _ = os.Rename(sub, aside), os.Rename(link, sub)
			} else {
				_, _ = os.Rename(sub, link), os.Rename(aside, sub)
			}
		}
	}()
	for range 20 {
		w.scan(blocks.ScanRequest{Confirm: true})
	}
	close(stop)
	t.Logf("%d swaps", <-swapped)
	secret := hashOf([]byte("outside!"))
	if places, err := w.store.PlacesOf(t.Context(), secret, 1); err != nil || len(places) > 0 {
		t.Fatalf("outside the root was read: %+v, %v", places, err)
	}
	if _, err := w.store.KnownFile(t.Context(), "ada", secret); !errors.Is(err, blocks.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestAbortedAndInterruptedScansGoOnWithoutTwins(t *testing.T) {
	w := newScanWorld(t)
	for i := range 3000 {
		w.write(fmt.Sprint(i%30, "/", i, ".txt"), fmt.Sprint("content ", i))
	}
	w.write("big.txt", string(bytes.Repeat([]byte("x"), 4<<20)))
	sc := w.beginScan(blocks.ScanRequest{Recursive: true})
	start := time.Now()
	got, err := w.AbortScan(t.Context(), "bob", sc.ID)
	if took := time.Since(start); err != nil || got.Status != blocks.ScanAborted || took > 2*time.Second {
		t.Fatalf("aborted: %+v, %v, after %v", got, err, took)
	}
	if _, err := w.AbortScan(t.Context(), "bob", sc.ID); !errors.Is(err, blocks.ErrNotFound) {
		t.Errorf("aborted twice: %v", err)
	}
	w.beginScan(blocks.ScanRequest{Recursive: true})
	for done := false; !done; { // stop in its midst
		active, _, err := w.ActiveScans(t.Context(), "bob")
		w.must(err)
		done = len(active) == 0 || active[0].Done > 0
	}
	w.stop()
	made := len(w.census())
	w.scansMu.Lock()
	w.over = nil
	w.scansMu.Unlock()
	w.start()
	end := w.waitScan(func(blocks.Scan) bool { return true })
	if end.Status != blocks.ScanDone || end.Found != 3001 || end.Done != 3001 {
		t.Fatalf("%+v", end)
	}
	if n := len(w.census()); n != 3001+31 {
		t.Errorf("%d blocks, %d of them before it was cut off", n, made)
	}
}

func TestFilesThatAreBeingWrittenWait(t *testing.T) {
	w := newScanWorld(t)
	w.stop()
	w.cfg.Scan.Settle = 150 * time.Millisecond
	w.start()
	w.write("new.txt", "just now")
	old := w.write("old.txt", "long ago")
	w.must(os.Chtimes(old, time.Unix(1, 0), time.Unix(1, 0)))
	future := w.write("future.txt", "not yet")
	w.must(os.Chtimes(future, time.Now().Add(time.Hour), time.Now().Add(time.Hour)))
	start := time.Now()
	w.wantScan(w.scan(blocks.ScanRequest{}), blocks.ScanDone, 3, 0, 0, 0)
	if took := time.Since(start); took < 100*time.Millisecond {
		t.Errorf("nobody waited: %v", took)
	}
	w.wantContent("new.txt", "just now")
}

func TestWatchedFoldersAreScannedAsTheyChange(t *testing.T) {
	w := newScanWorld(t)
	for i := range 40 {
		w.write(fmt.Sprint("f/", i, ".txt"), fmt.Sprint("content ", i))
	}
	w.scan(blocks.ScanRequest{Watch: true})
	folders, err := w.ScannedFolders(t.Context(), "bob")
	if err != nil || len(folders) != 1 || folders[0].Watching != blocks.WatchEvents {
		t.Fatalf("%+v, %v", folders, err)
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for !is() {
			sc := w.waitScan(func(blocks.Scan) bool { return true })
			if sc.Status != blocks.ScanDone {
				t.Fatalf("%s: %+v", what, sc)
			}
		}
	}
	there := func(name string) func() bool {
		return func() bool {
			list, err := w.store.ScannedAt(t.Context(), "h", []string{filepath.Join(w.media, name)})
			w.must(err)
			return len(list) == 1 && list[0].State == blocks.ScannedPresent
		}
	}
	w.write("f/new.txt", "new")
	until("a new file", there("f/new.txt"))
	w.wantContent("f/new.txt", "new")
	w.write("g/deep/new.txt", "deep") // a folder that nobody watched
	until("a new folder", there("g/deep/new.txt"))
	w.write("g/deep/more.txt", "more")
	until("a file in a new folder", there("g/deep/more.txt"))
	block := w.at("f/new.txt").block
	w.must(os.Rename(filepath.Join(w.media, "f/new.txt"), filepath.Join(w.media, "g/moved.txt")))
	until("a moved file", there("g/moved.txt"))
	if p := w.wantContent("g/moved.txt", "new"); p.block != block || p.trashed {
		t.Errorf("%+v", p)
	}
	w.must(os.Remove(filepath.Join(w.media, "f/9.txt")))
	until("a file that is gone", func() bool { return w.row("f/9.txt").State == blocks.ScannedVanished })

	if st, err := w.WatchStats(t.Context()); err != nil || st.Folders != 1 || st.Polling != 0 || st.Watches < 3 || st.Limit != 16_384 {
		t.Errorf("watched in full: %+v, %v", st, err)
	}

	w.stop()
	w.cfg.Scan.Watches = 2 // of which there are more folders
	w.start()
	w.scan(blocks.ScanRequest{Watch: true})
	if st, err := w.WatchStats(t.Context()); err != nil || st != (blocks.WatchStats{Folders: 1, Polling: 1, Watches: 2, Limit: 2}) {
		t.Errorf("watched in part: %+v, %v", st, err)
	}

	w.stop()
	w.cfg.Scan.Watches = -1
	w.start()
	w.scan(blocks.ScanRequest{Watch: true})
	if st, err := w.WatchStats(t.Context()); err != nil || st != (blocks.WatchStats{Folders: 1, Polling: 1}) {
		t.Errorf("not watched: %+v, %v", st, err)
	}
	if folders, err = w.ScannedFolders(t.Context(), "bob"); err != nil || len(folders) != 1 || folders[0].Watching != blocks.WatchPolling {
		t.Errorf("%+v, %v", folders, err)
	}
}

// anotherDisk has it look as if the folder had been on another disk when it was scanned.
func (w *scanWorld) anotherDisk(names ...string) {
	w.t.Helper()
	var rows []blocks.Scanned
	for _, name := range names {
		c := w.row(name)
		c.Dev += 1000
		rows = append(rows, c)
	}
	w.must(w.store.SaveScanned(w.t.Context(), rows, nil))
}

func TestFilesOfADiskThatIsNotMountedAreOffline(t *testing.T) {
	w := newScanWorld(t)
	for i := range 100 {
		w.write(fmt.Sprint("here/", i, ".txt"), fmt.Sprint("content ", i))
	}
	w.write("disk/a.txt", "a")
	w.write("disk/sub/b.txt", "b")
	w.scan(blocks.ScanRequest{})
	a, b := w.at("disk/a.txt"), w.at("disk/sub/b.txt")
	w.anotherDisk("disk")
	aside := filepath.Join(t.TempDir(), "disk")
	w.must(os.Rename(filepath.Join(w.media, "disk"), aside)) // 2 %, which might as well vanish
	makeFolder(t, filepath.Join(w.media, "disk"))
	for range 3 {
		for _, confirm := range []bool{false, true} {
			w.wantScan(w.scan(blocks.ScanRequest{Confirm: confirm}), blocks.ScanDone, 0, 0, 0, 0)
			for _, name := range []string{"disk/a.txt", "disk/sub/b.txt"} {
				if p := w.at(name); p.trashed || p.state != blocks.ScannedOffline {
					t.Fatalf("%+v", p)
				}
			}
		}
	}
	w.must(errors.Join(os.Remove(filepath.Join(w.media, "disk")), os.Rename(aside, filepath.Join(w.media, "disk"))))
	w.wantScan(w.scan(blocks.ScanRequest{}), blocks.ScanDone, 0, 0, 0, 0)
	if now := w.wantContent("disk/a.txt", "a"); now.block != a.block || now.state != blocks.ScannedPresent {
		t.Errorf("%+v", now)
	}
	if now := w.wantContent("disk/sub/b.txt", "b"); now.block != b.block {
		t.Errorf("%+v", now)
	}
	w.must(os.Remove(filepath.Join(w.media, "disk/a.txt"))) // it is known again where it is
	w.wantScan(w.scan(blocks.ScanRequest{}), blocks.ScanDone, 0, 0, 0, 1)
	if p := w.at("disk/a.txt"); !p.trashed {
		t.Errorf("%+v", p)
	}
}

func TestADeletedBlockIsNotMadeAgain(t *testing.T) {
	w := newScanWorld(t)
	w.write("a.txt", "a")
	w.write("b.txt", "b")
	w.scan(blocks.ScanRequest{})
	a, b := w.at("a.txt"), w.at("b.txt")
	_, err := w.PurgeBlock(t.Context(), author("bob"), blocks.Target{Heap: "h", Block: string(a.block)})
	w.must(err)
	_, err = w.TrashBlock(t.Context(), author("bob"), blocks.Target{Heap: "h", Block: string(b.block)})
	w.must(err)
	w.write("a.txt", "another a")
	w.write("b.txt", "another b")
	if sc := w.scan(blocks.ScanRequest{}); sc.Status != blocks.ScanDone || sc.New != 0 || sc.Errors != 0 {
		t.Errorf("%+v", sc)
	}
	if head := w.head(string(a.block)); head.DeletedAt == 0 {
		t.Error("a block that was deleted for good is back")
	}
	if p := w.wantContent("b.txt", "another b"); !p.trashed {
		t.Error("a block left the trash because its file changed")
	}
}

func TestFoldersInFoldersAreNotScannedUnlessWanted(t *testing.T) {
	w := newScanWorld(t)
	w.write("sub/a.txt", "a")
	w.write("sub/deep/b.txt", "b")
	sub := filepath.Join(w.media, "sub")
	sc := w.waitFor(w.beginScan(blocks.ScanRequest{Path: sub}).ID)
	w.wantScan(sc, blocks.ScanDone, 1, 0, 0, 0)
	a := w.at("sub/a.txt")
	w.wantScan(w.scan(blocks.ScanRequest{}), blocks.ScanDone, 1, 0, 0, 0) // from above
	if now, root := w.at("sub"), w.at("."); now.parent != string(root.block) {
		t.Errorf("%+v is not in %+v", now, root)
	}
	if now := w.wantContent("sub/a.txt", "a"); now.block != a.block {
		t.Errorf("%+v", now)
	}
	sc = w.waitFor(w.beginScan(blocks.ScanRequest{Path: sub}).ID)
	w.wantScan(sc, blocks.ScanDone, 0, 0, 0, 0)
	if p := w.at("sub/deep/b.txt"); p.trashed || p.state != blocks.ScannedPresent {
		t.Errorf("what was not looked at: %+v", p)
	}
	if now := w.at("sub"); now.parent != string(w.at(".").block) {
		t.Errorf("%+v has left its folder", now)
	}
	deep := w.media
	for range 130 {
		deep = filepath.Join(deep, "d")
	}
	makeFolder(t, deep)
	if sc := w.scan(blocks.ScanRequest{}); sc.Status != blocks.ScanDone || sc.Errors != 1 {
		t.Errorf("too deep: %+v", sc)
	}
}

func TestReindexLooksAtAllFilesOfAHeap(t *testing.T) {
	w := newScanWorld(t)
	a := w.write("a.txt", "a")
	w.write("b.txt", "b")
	w.scan(blocks.ScanRequest{})
	uploaded := newFile("up", []byte("uploaded"))
	_, err := w.TakeFile(t.Context(), author("bob"), uploaded, strings.NewReader("uploaded"), func() (*blocks.Hash, error) { return nil, nil })
	if uploaded.Size = 8; err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.cfg.MediaType = func(name, _ string, _ []byte) string { return "new/" + strings.TrimPrefix(filepath.Ext(name), ".") }
	w.start()
	w.must(os.Remove(a))
	done, err := w.ReindexFiles(t.Context(), author("bob"), "h")
	if err != nil || done.Files != 3 || done.Changed != 2 || done.Missing != 1 || len(done.Scans) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	if f, err := w.store.FileOf(t.Context(), key("up")); err != nil || f.Mime != "new/txt" || f.Placed {
		t.Errorf("%+v, %v", f, err)
	}
	w.waitFor(done.Scans[0].ID)
	if _, err := w.ReindexFiles(t.Context(), author("eve"), "h"); !errors.Is(err, blocks.ErrForbidden) {
		t.Errorf("by a viewer: %v", err)
	}
}

func TestAFileInPlaceIsNoSourceOfACopy(t *testing.T) {
	w := newScanWorld(t)
	w.write("a.txt", "a")
	w.scan(blocks.ScanRequest{})
	// Who uploads the same has to send it: the original is not ours to rely on.
	f := newFile("copy", []byte("a"))
	w.mustBegin("bob", f, blocks.UploadNew)
	w.filesWorld.put("bob", "copy", []byte("a"), 0)
	if _, err := w.complete("bob", "copy", []byte("a")); err != nil {
		t.Fatal(err)
	}
	w.must(os.RemoveAll(w.media))
	w.wantFile("copy", []byte("a"))
	if got, err := w.read("copy"); err != nil || got != "a" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAFileThatIsOfflineCanBeUploaded(t *testing.T) {
	w := newScanWorld(t)
	w.write("a.txt", "a")
	w.scan(blocks.ScanRequest{})
	p := w.wantContent("a.txt", "a")
	f := newFile(string(p.block), []byte("a"))
	w.mustBegin("bob", f, blocks.UploadComplete) // it is the block's already
	w.must(os.RemoveAll(w.media))
	w.mustBegin("bob", f, blocks.UploadNew)
	w.filesWorld.put("bob", string(p.block), []byte("a"), 0)
	if _, err := w.complete("bob", string(p.block), []byte("a")); err != nil {
		t.Fatal(err)
	}
	if got, err := w.read(p.block); err != nil || got != "a" {
		t.Errorf("%q, %v", got, err)
	}
	if bytes, _, err := w.store.FileUsage(t.Context(), "bob"); err != nil || bytes != 1 {
		t.Errorf("%d bytes count, %v", bytes, err)
	}
}

func TestFoldersAreScannedNowAndThen(t *testing.T) {
	w := newScanWorld(t)
	w.stop()
	w.cfg.Scan.Every = time.Hour
	w.start()
	w.write("a.txt", "a")
	w.scan(blocks.ScanRequest{})
	w.write("b.txt", "b")
	w.pass(59 * time.Minute)
	w.write("other/c.txt", "c")
	sc := w.waitFor(w.beginScan(blocks.ScanRequest{Path: filepath.Join(w.media, "other"), Recursive: true}).ID)
	w.wantScan(sc, blocks.ScanDone, 1, 0, 0, 0)
	w.pass(time.Minute)
	w.wantScan(w.waitScan(func(sc blocks.Scan) bool { return sc.Folder.Path == w.media }), blocks.ScanDone, 1, 0, 0, 0)
	w.wantContent("b.txt", "b")
	// Who had it scanned may not any more: it is left alone.
	w.must(w.SetRole(t.Context(), "h", "bob", blocks.RoleViewer))
	w.write("d.txt", "d")
	w.pass(2 * time.Hour)
	if _, err := w.StartScan(t.Context(), author("carol"), blocks.ScanRequest{Heap: "h", Path: filepath.Join(w.media, "other")}); err != nil {
		t.Fatal(err)
	}
	w.waitScan(func(sc blocks.Scan) bool { return sc.User == "carol" })
	if list, err := w.store.ScannedAt(t.Context(), "h", []string{filepath.Join(w.media, "d.txt")}); err != nil || len(list) != 0 {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestAScanThatWaitsForAnotherCanBeAborted(t *testing.T) {
	w := newScanWorld(t)
	w.stop()
	reached, goOn := make(chan struct{}, 1), make(chan struct{})
	w.cfg.MediaType = func(string, string, []byte) string {
		select {
		case reached <- struct{}{}:
		default:
		}
		<-goOn
		return "text/plain"
	}
	w.start()
	w.write("a/a.txt", "a")
	w.write("b/b.txt", "b")
	first := w.beginScan(blocks.ScanRequest{Path: filepath.Join(w.media, "a")})
	<-reached
	again := w.beginScan(blocks.ScanRequest{Path: filepath.Join(w.media, "a")})
	if again.ID != first.ID || again.Status != blocks.ScanRunning {
		t.Errorf("asked for twice: %+v, %+v", first, again)
	}
	second := w.beginScan(blocks.ScanRequest{Path: filepath.Join(w.media, "b")})
	got, err := w.AbortScan(t.Context(), "bob", second.ID)
	if err != nil || got.Status != blocks.ScanAborted || got.Found != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := w.AbortScan(t.Context(), "eve", first.ID); !errors.Is(err, blocks.ErrForbidden) {
		t.Errorf("by a viewer: %v", err)
	}
	close(goOn)
	w.wantScan(w.waitFor(first.ID), blocks.ScanDone, 1, 0, 0, 0)
}
