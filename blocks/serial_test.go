package blocks_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/storetest"
)

func (w *filesWorld) beginSerial(f blocks.NewFile, of blocks.Serial) blocks.SerialStatus {
	w.t.Helper()
	st, err := w.BeginSerial(w.t.Context(), author("bob"), f, of)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

func (w *filesWorld) appendSerial(name blocks.Hash, at int64, body io.Reader) (blocks.SerialStatus, error) {
	return w.AppendSerial(w.t.Context(), author("bob"), name, blocks.SerialBody{Reader: body, At: at, Size: -1})
}

func (w *filesWorld) wantOffset(what string, name blocks.Hash, want int64) {
	w.t.Helper()
	if st, err := w.SerialUpload(w.t.Context(), author("bob"), name); err != nil || st.Offset != want {
		w.t.Errorf("%s: offset %d (%v), want %d", what, st.Offset, err, want)
	}
}

var errCut = errors.New("cut off")

// cutOff is a body that breaks off.
func cutOff(content []byte) io.Reader {
	return io.MultiReader(bytes.NewReader(content), failing{errCut})
}

func TestSerialUploadsKeepWhatHasCome(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	content := noise(3<<20+5, 1)
	f := newFile("a", content)
	st := w.beginSerial(f, blocks.Serial{Note: "note"})
	if _, err := w.appendSerial(st.Name, 0, cutOff(content[:1<<20+100])); !errors.Is(err, errCut) {
		t.Errorf("cut off: %v", err)
	}
	w.wantOffset("cut off", st.Name, 1<<20+100)
	w.close()
	w.world.open()
	w.wantOffset("after a restart", st.Name, 1<<20+100)
	if _, err := w.appendSerial(st.Name, 1<<20, bytes.NewReader(content[1<<20:])); !errors.Is(err, blocks.ErrConflict) {
		t.Errorf("another offset: %v", err)
	}
	// What is whole can be read while the rest is on its way.
	open, err := w.OpenFile(t.Context(), "eve", key("a"))
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 1<<20)
	if n, err := open.ReadAt(got, 0); err != nil || !bytes.Equal(got[:n], content[:1<<20]) {
		t.Errorf("read %d bytes: %v", n, err)
	}
	open.Close()
	for what, call := range map[string]func() error{
		"a chunk": func() error {
			_, err := w.PutChunk(t.Context(), author("bob"), f.Key, st.Name, 0, bytes.NewReader(content[:1<<20]), nil)
			return err
		},
		"completion": func() error {
			_, err := w.CompleteUpload(t.Context(), author("bob"), f.Key, st.Name)
			return err
		},
		"a stranger": func() error {
			_, err := w.SerialUpload(t.Context(), author("zoe"), st.Name)
			return err
		},
	} {
		if err := call(); !errors.Is(err, blocks.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.SerialUpload(t.Context(), author("eve"), st.Name); !errors.Is(err, blocks.ErrForbidden) {
		t.Errorf("a viewer: %v", err)
	}
	end, err := w.appendSerial(st.Name, 1<<20+100, bytes.NewReader(content[1<<20+100:]))
	if err != nil || end.File == nil || end.File.Hash != f.Hash {
		t.Fatalf("end: %+v, %v", end, err)
	}
	w.wantFile("a", content)
	w.close()
	w.world.open()
	w.wantOffset("a file", st.Name, int64(len(content)))
}

// askedReader says when it is asked for more.
type askedReader struct {
	io.Reader
	more chan struct{}
}

func (r askedReader) Read(p []byte) (int, error) {
	r.more <- struct{}{}
	return r.Reader.Read(p)
}

func TestOneRequestAtATimeSendsToASerialUpload(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	content := noise(1000, 1)
	st := w.beginSerial(newFile("a", content), blocks.Serial{})
	r, pipe := io.Pipe()
	asked := askedReader{r, make(chan struct{}, 10)}
	old := make(chan error, 1)
	go func() {
		_, err := w.appendSerial(st.Name, 0, asked)
		old <- err
	}()
	<-asked.more
	if _, err := pipe.Write(noise(10, 3)); err != nil {
		t.Fatal(err)
	}
	<-asked.more // what came is written
	if _, err := w.appendSerial(st.Name, 0, bytes.NewReader(content)); !errors.Is(err, blocks.ErrLocked) {
		t.Errorf("a second request: %v", err)
	}
	w.wantOffset("meanwhile", st.Name, 0)
	w.pass(5 * time.Second)
	if _, err := w.appendSerial(st.Name, 0, bytes.NewReader(content[:500])); err != nil {
		t.Errorf("when the first has stalled: %v", err)
	}
	if _, err := pipe.Write(noise(10, 3)); err != nil {
		t.Fatal(err)
	}
	if err := <-old; !errors.Is(err, blocks.ErrLocked) {
		t.Errorf("the first: %v", err)
	}
	if _, err := w.appendSerial(st.Name, 500, bytes.NewReader(content[500:])); err != nil {
		t.Errorf("the rest: %v", err)
	}
	w.wantFile("a", content)
}

// Whatever fails, nothing that was acknowledged is lost, and to go on ends well.
func TestSerialUploadsGoOnAfterFaults(t *testing.T) {
	for _, fault := range []storetest.Fault{
		{Method: "SaveProgress", Nth: 2, Fail: true}, {Method: "SaveProgress", Nth: 2, Fail: true, After: true},
		{Method: "AddFile", Fail: true}, {Method: "AddFile", Fail: true, After: true},
		{Method: "Commit", Fail: true}, {Method: "Commit", Fail: true, After: true},
	} {
		t.Run(fmt.Sprint(fault.Method, fault.After), func(t *testing.T) {
			w := newFilesWorld(t, blocks.Limits{})
			content := noise(1000, 1)
			st := w.beginSerial(newFile("a", content), blocks.Serial{})
			w.store.Inject(fault)
			failed := 0
			for at := int64(0); at < 1000; {
				end := min(at+400, 1000)
				_, err := w.appendSerial(st.Name, at, bytes.NewReader(content[at:end]))
				if err == nil {
					at = end
					continue
				}
				failed++
				now, err := w.SerialUpload(t.Context(), author("bob"), st.Name)
				if err != nil || now.Offset < at {
					t.Fatalf("%d bytes were acknowledged, and %d are there (%v)", at, now.Offset, err)
				}
				at = now.Offset
			}
			if failed != 1 {
				t.Errorf("%d calls failed", failed)
			}
			w.wantOffset("at the end", st.Name, 1000)
			if err := w.Sweep(t.Context()); err != nil { // of what the server did not know to have ended
				t.Error(err)
			}
			w.wantFile("a", content)
		})
	}
}

// A blob whose upload broke off at the last moment is swept, and one that is about to be a
// file is not, even if it was marked long ago.
func TestBlobsOfSerialUploadsAreSwept(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{})
	content := noise(1000, 1)
	count := func() int {
		t.Helper()
		list, err := w.cfg.Blobs.List(t.Context(), blocks.Hash{}, 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	sweep := func(d time.Duration) {
		t.Helper()
		w.pass(d)
		if err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	st := w.beginSerial(newFile("a", content), blocks.Serial{})
	w.store.Inject(storetest.Fault{Method: "AddFile", Fail: true})
	if _, err := w.appendSerial(st.Name, 0, bytes.NewReader(content)); !errors.Is(err, storetest.ErrInjected) {
		t.Fatal(err)
	}
	if n := count(); n != 1 {
		t.Errorf("%d blobs", n)
	}
	if err := w.EndSerial(t.Context(), author("bob"), st.Name); err != nil {
		t.Error(err)
	}
	sweep(time.Hour)
	if n := count(); n != 1 {
		t.Errorf("%d blobs after the first sweep", n)
	}
	w.pass(100 * 24 * time.Hour) // it could go now, and is put again
	if st := w.beginSerial(newFile("a", content), blocks.Serial{}); st.File != nil {
		t.Error("it is complete")
	} else if _, err := w.appendSerial(st.Name, 0, bytes.NewReader(content)); err != nil {
		t.Error(err)
	}
	sweep(time.Hour)
	w.wantFile("a", content)
	other := w.beginSerial(newFile("b", content[1:]), blocks.Serial{})
	w.store.Inject(storetest.Fault{Method: "AddFile", Fail: true})
	if _, err := w.appendSerial(other.Name, 0, bytes.NewReader(content[1:])); !errors.Is(err, storetest.ErrInjected) {
		t.Fatal(err)
	}
	sweep(8 * 24 * time.Hour) // the upload has had its time
	sweep(100 * 24 * time.Hour)
	if n := count(); n != 1 {
		t.Errorf("%d blobs at the end", n)
	}
	if left, err := os.ReadDir(w.cfg.UploadDir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestJoinedPartsAreFreed(t *testing.T) {
	w := newFilesWorld(t, blocks.Limits{HeapFiles: 1500})
	content := noise(1000, 1)
	var parts []blocks.Hash
	for _, span := range [][2]int{{0, 300}, {300, 300}, {300, 1000}} {
		f := newFile("x", content[span[0]:span[1]])
		f.UserBytes = 1000
		st := w.beginSerial(f, blocks.Serial{Part: true})
		if _, err := w.appendSerial(st.Name, 0, bytes.NewReader(content[span[0]:span[1]])); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, st.Name)
	}
	join := func() (blocks.SerialStatus, error) {
		f := newFile("a", content)
		f.UserBytes = 1000
		return w.JoinSerials(t.Context(), author("bob"), f, blocks.Serial{Want: &f.Hash}, parts)
	}
	if _, err := w.JoinSerials(t.Context(), author("eve"), newFile("a", content), blocks.Serial{}, parts); !errors.Is(err, blocks.ErrForbidden) {
		t.Errorf("a viewer: %v", err)
	}
	w.store.Inject(storetest.Fault{Method: "AddFile", Fail: true})
	if _, err := join(); !errors.Is(err, storetest.ErrInjected) {
		t.Errorf("with a fault: %v", err)
	}
	for range 2 {
		if st, err := join(); err != nil || st.File == nil || st.File.Hash != hashOf(content) {
			t.Fatalf("joined %+v, %v", st, err)
		}
	}
	w.wantFile("a", content)
	if bytes, files, err := w.store.FileUsage(t.Context(), "bob"); err != nil || bytes != 1000 || files != 1 {
		t.Errorf("bob has %d bytes in %d files, %v", bytes, files, err)
	}
}

var serialRuns = flag.Int("serial-runs", 300, "sequences of TestSerialUploadsAreAsTheModelSays")

// Random sequences of all that can be done to a serial upload, with restarts.
func TestSerialUploadsAreAsTheModelSays(t *testing.T) {
	runs := *serialRuns
	if testing.Short() {
		runs = min(runs, 50)
	}
	checks := flag.Lookup("rapid.checks").Value.String()
	if err := flag.Set("rapid.checks", fmt.Sprint(runs)); err != nil {
		t.Fatal(err)
	}
	defer flag.Set("rapid.checks", checks)
	w := newFilesWorld(t, blocks.Limits{})
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		size := rapid.Int64Range(0, 3<<20).Draw(rt, "size")
		content := noise(size, uint64(run))
		f := newFile(fmt.Sprint("s", run), content)
		bad := rapid.IntRange(0, 4).Draw(rt, "want") == 0
		of := blocks.Serial{Want: &f.Hash}
		if bad {
			of.Want = &blocks.Hash{}
		}
		st, err := w.BeginSerial(t.Context(), author("bob"), f, of)
		at := int64(0)
		ended := bad && size == 0
		if ended != (err != nil) {
			rt.Fatal(err)
		}
		if ended {
			return
		}
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(rt *rapid.T) {
				from := at
				if rapid.IntRange(0, 5).Draw(rt, "elsewhere") == 0 {
					from = rapid.Int64Range(0, size).Draw(rt, "from")
				}
				to := min(size, from+rapid.Int64Range(0, 2<<20).Draw(rt, "bytes"))
				body := blocks.SerialBody{Reader: bytes.NewReader(content[from:to]), At: from, Size: -1}
				want, keep := error(nil), to
				switch rapid.SampledFrom([]string{"", "", "cut", "checked", "refused", "cut and checked", "long"}).Draw(rt, "kind") {
				case "cut":
					body.Reader, want = cutOff(content[from:to]), errCut
				case "checked":
					body.Check = func() error { return nil }
				case "refused":
					body.Check, want, keep = func() error { return errCut }, errCut, from
				case "cut and checked":
					body.Reader, body.Check, want, keep = cutOff(content[from:to]), func() error { return nil }, errCut, from
				case "long":
					body.Reader, body.Size, want, keep = bytes.NewReader(append(slices.Clone(content[from:]), 1)), size-from+1, blocks.ErrInvalid, from
				}
				switch {
				case ended:
					want, keep = blocks.ErrNotFound, at
				case from != at:
					want, keep = blocks.ErrConflict, at
				case at == size && !bad: // it is a file
					want, keep = nil, at
				case keep == size && want == nil && bad:
					want, ended = blocks.ErrHashMismatch, true
				}
				_, err := w.AppendSerial(t.Context(), author("bob"), st.Name, body)
				if !errors.Is(err, want) || want == nil && err != nil {
					rt.Fatalf("append %d to %d, at %d: %v, want %v", from, to, at, err, want)
				}
				at = keep
			},
			"restart": func(rt *rapid.T) {
				if rapid.IntRange(0, 9).Draw(rt, "often") == 0 {
					w.close()
					w.world.open()
				}
			},
			"": func(rt *rapid.T) {
				now, err := w.SerialUpload(context.Background(), author("bob"), st.Name)
				switch {
				case at == size && bad && !ended: // it was cut off at the last byte
					ended = true
					fallthrough
				case ended:
					if !errors.Is(err, blocks.ErrNotFound) && !errors.Is(err, blocks.ErrHashMismatch) {
						rt.Fatalf("after the end: %+v, %v", now, err)
					}
				case err != nil || now.Offset != at || (now.File != nil) != (at == size):
					rt.Fatalf("%+v, %v; want %d of %d bytes", now, err, at, size)
				}
			},
		})
		switch {
		case at == size && !bad:
			w.wantFile(string(f.Key.Block), content)
		case !ended:
			if err := w.EndSerial(t.Context(), author("bob"), st.Name); err != nil {
				rt.Fatal(err)
			}
		}
	})
}
