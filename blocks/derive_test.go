package blocks_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/blocks/media"
	"github.com/heapsync/heapsync/storage/disk"
	"github.com/heapsync/heapsync/storage/storetest"
	"github.com/heapsync/heapsync/ydoc"
)

// looker takes every file for a picture of 40 × 20, but for what begins with "broken".
type looker struct {
	version string
	gate    chan struct{} // if not nil, thumbnails wait for a value of it

	// mu guards seen: the contents of files, in the order in which thumbnails were made.
	mu   sync.Mutex
	seen []string
}

func (l *looker) Report() media.Report { return media.Report{Vips: l.version} }

func (l *looker) content(file *os.File) string {
	content, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<20))
	if err != nil {
		panic(err)
	}
	return string(content)
}

func (l *looker) Probe(_ context.Context, file *os.File) (media.Facts, error) {
	f := media.Facts{Format: media.Format{Name: "jpeg", MIME: "image/jpeg", Kind: media.Image}, Width: 40, Height: 20}
	if strings.HasPrefix(l.content(file), "broken") {
		return f, fmt.Errorf("%w: torn", media.ErrDamaged)
	}
	return f, nil
}

func (l *looker) Thumbnails(ctx context.Context, file *os.File, o media.Options) ([]media.Thumbnail, error) {
	content := l.content(file)
	l.mu.Lock()
	l.seen = append(l.seen, content)
	gate := l.gate
	l.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var list []media.Thumbnail
	for i, edge := range o.Edges {
		var out bytes.Buffer
		picture := image.NewGray(image.Rect(0, 0, 40, 20))
		picture.Pix[i] = 255 - byte(len(content))
		if err := jpeg.Encode(&out, picture, nil); err != nil {
			return nil, err
		}
		list = append(list, media.Thumbnail{Edge: edge, Width: 40, Height: 20, Encoding: o.Encoding, Bytes: out.Bytes()})
	}
	return list, nil
}

func (l *looker) Animation(context.Context, *os.File, int, media.Position) (media.Thumbnail, error) {
	return media.Thumbnail{}, fmt.Errorf("%w: still", media.ErrUnsupported)
}

// hold has thumbnails wait for values of gate, and goOn lets all go on.
func (l *looker) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gate = make(chan struct{})
}

func (l *looker) goOn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gate != nil {
		close(l.gate)
	}
	l.gate = nil
}

func (l *looker) looks() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.seen)
}

// mediaWorld is a world with files, an index and a looker.
type mediaWorld struct {
	*filesWorld
	*looker
	derived chan blocks.FileChange
}

func newMediaWorld(t testing.TB, limits blocks.Limits, change ...func(*blocks.LogConfig)) *mediaWorld {
	w := &mediaWorld{filesWorld: &filesWorld{world: makeWorld(t, limits, true)}, looker: &looker{version: "1"}, derived: make(chan blocks.FileChange, 1000)}
	w.stop()
	w.cfg.Media = w.looker
	for _, fn := range change {
		fn(&w.cfg)
	}
	w.withFiles(t)
	w.listen()
	return w
}

func (w *mediaWorld) listen() {
	w.OnFile(func(c blocks.FileChange) {
		if c.Derived {
			w.derived <- c
		}
	})
}

// again stops the server and starts another on the same data.
func (w *mediaWorld) again() {
	w.t.Helper()
	w.restart()
	w.listen()
}

// heard waits until blocks have heard of their files, and returns which.
func (w *mediaWorld) heard(n int) (list []string) {
	w.t.Helper()
	for range n {
		select {
		case c := <-w.derived:
			list = append(list, string(c.Key.Block))
		case <-time.After(20 * time.Second):
			w.t.Fatalf("%d of %d blocks have heard of their files", len(list), n)
		}
	}
	slices.Sort(list)
	return list
}

// fileFields is what a block's document says of its file.
func (w *mediaWorld) fileFields(block string) map[string]any {
	w.t.Helper()
	fields := map[string]any{}
	err := w.View(w.t.Context(), key(block), func(_ blocks.Head, doc *ydoc.Doc) error {
		v, _ := doc.Map("block").Value("file")
		switch v := v.(type) {
		case ydoc.Type:
			for k, value := range v.AsMap().All() {
				fields[k] = value
			}
		case ydoc.Object:
			for _, m := range v {
				fields[m.Key] = m.Value
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return fields
}

func (w *mediaWorld) edit(block string, fn func(about ydoc.Map)) blocks.Seq {
	w.t.Helper()
	done, err := w.Edit(w.t.Context(), author("carol"), key(block), func(_ blocks.Head, doc *ydoc.Doc) error {
		fn(doc.Map("block"))
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return done.Seq
}

func (w *mediaWorld) source(content string) blocks.Source {
	w.t.Helper()
	s, err := w.store.Source(w.t.Context(), hashOf([]byte(content)))
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// until waits for what other goroutines are about to do.
func (w *mediaWorld) until(done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(end) {
			w.t.Fatal("it does not come")
		}
	}
}

func (w *mediaWorld) mustTake(user blocks.UserID, block, content string) {
	w.t.Helper()
	if err := w.take(user, block, []byte(content)); err != nil {
		w.t.Fatal(err)
	}
}

func TestDocumentsHearOfTheirFileOnce(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{})
	w.mustTake("bob", "f", "picture")
	w.heard(1)
	fields := w.fileFields("f")
	if fields["width"] != 40.0 || fields["height"] != 20.0 || fields["thumbhash"] == nil || fields["duration"] != nil || fields["name"] != "f.txt" {
		t.Errorf("the document says %v", fields)
	}
	_, _, tail, err := w.store.State(t.Context(), key("f"))
	if err != nil || len(tail) != 2 || tail[1].User != "bob" {
		t.Errorf("the log has %d updates, %v", len(tail), err)
	}

	// What a client takes out of it stays out.
	w.edit("f", func(about ydoc.Map) {
		v, _ := about.Value("file")
		v.(ydoc.Type).AsMap().Delete("width")
	})
	w.mustTake("bob", "other", "picture")
	if got := w.heard(1); got[0] != "other" || w.fileFields("other")["width"] != 40.0 {
		t.Errorf("%v heard, %v", got, w.fileFields("other"))
	}
	w.again()
	if _, found := w.fileFields("f")["width"]; found {
		t.Error("the document says again what was taken out of it")
	}
	// Unless somebody asks for it.
	if _, err := w.Regenerate(t.Context(), author("carol"), blocks.Target{Heap: "h", Block: "f"}); err != nil {
		t.Fatal(err)
	}
	w.heard(1)
	if fields := w.fileFields("f"); fields["width"] != 40.0 {
		t.Errorf("the document says %v", fields)
	}
	before := w.head("f").Seq
	w.mustTake("bob", "third", "picture")
	w.heard(1)
	if w.head("f").Seq != before {
		t.Error("a document was edited that says it all")
	}
}

// A client may set what it knows itself, or the whole as one value.
func TestWhatClientsSayOfTheirFileStays(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{})
	w.hold()
	w.mustTake("bob", "f", "picture")
	w.edit("f", func(about ydoc.Map) {
		v, _ := about.Value("file")
		v.(ydoc.Type).AsMap().Set("width", 7.0)
	})
	w.gate <- struct{}{}
	w.heard(1)
	if fields := w.fileFields("f"); fields["width"] != 7.0 || fields["height"] != 20.0 {
		t.Errorf("the document says %v", fields)
	}
	doc := ydoc.NewDoc(ydoc.Options{})
	update := doc.Transact(func() {
		doc.Map("block").Set("file", ydoc.Object{{Key: "hash", Value: hashOf([]byte("picture")).String()}, {Key: "mine", Value: "x"}})
	}).Update(ydoc.V1)
	w.world.put("carol", "copy", update)
	if got := w.heard(1); got[0] != "copy" {
		t.Errorf("%v heard", got)
	}
	if fields := w.fileFields("copy"); fields["width"] != 40.0 || fields["mine"] != "x" || fields["hash"] != hashOf([]byte("picture")).String() {
		t.Errorf("the document says %v", fields)
	}
}

func TestABlockInTheTrashIsNotEdited(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{})
	w.hold()
	w.mustTake("bob", "f", "picture")
	if _, err := w.TrashBlock(t.Context(), author("bob"), blocks.Target{Heap: "h", Block: "f"}); err != nil {
		t.Fatal(err)
	}
	before := w.head("f").Seq
	w.gate <- struct{}{}
	w.until(func() bool { return w.source("picture").Status == blocks.DerivedReady })
	w.goOn()
	w.mustTake("bob", "g", "another") // by then the first has ended
	w.heard(1)
	if w.head("f").Seq != before {
		t.Error("a block in the trash was edited")
	}
	if _, err := w.RestoreBlocks(t.Context(), author("bob"), "h", []blocks.BlockID{"f"}); err != nil {
		t.Fatal(err)
	}
	if got := w.heard(1); got[0] != "f" || w.fileFields("f")["width"] != 40.0 {
		t.Errorf("%v heard, %v", got, w.fileFields("f"))
	}
}

func TestPicturesAreSweptWithTheirFile(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{})
	for _, block := range []string{"a", "b"} {
		w.mustTake("bob", block, "picture")
	}
	w.heard(2)
	list, err := w.store.PicturesOf(t.Context(), hashOf([]byte("picture")), 0)
	if err != nil || len(list) != 2 || list[0].Blob == list[1].Blob {
		t.Fatalf("pictures %v, %v", list, err)
	}
	there := func(want bool) {
		t.Helper()
		for _, p := range list {
			if _, err := w.cfg.Blobs.Stat(t.Context(), p.Blob); (err == nil) != want {
				t.Errorf("picture %d: %v", p.Size, err)
			}
		}
		if w.has([]byte("picture")) != want {
			t.Error("the file")
		}
	}
	const day = 24 * time.Hour
	for i, block := range []string{"a", "b"} {
		w.pass(8 * day)
		w.sweep()
		w.pass(8 * day)
		w.sweep()
		there(true)
		if _, err := w.PurgeBlock(t.Context(), author("bob"), blocks.Target{Heap: "h", Block: block}); err != nil {
			t.Fatal(i, err)
		}
	}
	w.sweep()
	w.pass(6 * day)
	w.sweep()
	there(true)
	w.pass(2 * day)
	w.sweep()
	there(false)
	if sum, err := blocks.VerifyBlobs(t.Context(), w.store, w.cfg.Blobs, nil); err != nil || sum != (blocks.BlobSummary{}) {
		t.Errorf("%+v, %v", sum, err)
	}
	w.mustTake("bob", "c", "picture") // it is looked at anew
	w.heard(1)
	there(true)
}

// A stop in the middle of work is not the file's fault; what ends the server again and
// again is not tried for ever.
func TestWorkThatDidNotEndIsFoundAgain(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{MediaPause: time.Nanosecond})
	w.hold()
	w.mustTake("bob", "f", "picture")
	for range 5 {
		w.until(func() bool { return w.source("picture").Status == blocks.DerivedRunning })
		w.again()
	}
	if s := w.source("picture"); s.Tries > 1 {
		t.Errorf("%d tries after restarts", s.Tries)
	}
	w.until(func() bool { return w.source("picture").Status == blocks.DerivedRunning })
	w.gate <- struct{}{}
	w.heard(1)

	// As after kill -9: nothing is put back.
	w.hold()
	w.mustTake("bob", "killer", "killer")
	for n := 1; n <= 3; n++ {
		w.until(func() bool { s := w.source("killer"); return s.Status == blocks.DerivedRunning && s.Tries == n })
		w.store.Inject(storetest.Fault{Method: "SaveSource", Times: -1, Fail: true})
		w.again()
	}
	w.until(func() bool { return w.source("killer").Status == blocks.DerivedFailed })
	if s := w.source("killer"); s.Code != blocks.CodeLost || !strings.Contains(s.Reason, "3 times") {
		t.Errorf("%+v", s)
	}
	w.goOn()
	if _, err := w.Regenerate(t.Context(), author("bob"), blocks.Target{Heap: "h", Block: "killer"}); err != nil {
		t.Fatal(err)
	}
	w.until(func() bool { return w.source("killer").Status == blocks.DerivedReady })
}

func TestFailuresAreTriedAgainWithAnotherEngine(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{})
	w.mustTake("bob", "f", "broken")
	w.heard(1)
	if s := w.source("broken"); s.Status != blocks.DerivedFailed || s.Code != blocks.CodeDamaged || s.ParseFacts().Width != 40 {
		t.Errorf("%+v", s)
	}
	engine := w.source("broken").Engine
	w.again()
	w.mustTake("bob", "g", "picture")
	w.heard(1)
	if s := w.source("broken"); s.Engine != engine {
		t.Errorf("tried again: %+v", s)
	}
	w.version = "2"
	w.again()
	w.until(func() bool { s := w.source("broken"); return s.Status == blocks.DerivedFailed && s.Engine != engine })
	if n := len(w.looks()); n != 1 {
		t.Errorf("%d pictures were made, want one: what is ready stays", n)
	}
}

// fullOnce is a store of blobs whose disk is full for so many pictures.
type fullOnce struct {
	*disk.Store
	mu   sync.Mutex // guards left
	left int
}

func (f *fullOnce) Put(ctx context.Context, hash blocks.Hash, file *os.File, size int64) error {
	f.mu.Lock()
	full := f.left > 0 && strings.Contains(file.Name(), "blob-")
	if full {
		f.left--
	}
	f.mu.Unlock()
	if full {
		return blocks.ErrFull
	}
	return f.Store.Put(ctx, hash, file, size)
}

func TestAFullDiskIsNotTheFilesFault(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{MediaPause: time.Nanosecond})
	w.stop()
	w.cfg.Blobs = &fullOnce{Store: w.cfg.Blobs.(*disk.Store), left: 5}
	w.run()
	w.listen()
	w.mustTake("bob", "f", "picture")
	w.heard(1)
	if s := w.source("picture"); s.Status != blocks.DerivedReady || s.Tries != 0 {
		t.Errorf("%+v", s)
	}
}

// remote is a store of blobs that are no files of this machine.
type remote struct{ *disk.Store }

type remoteBlob struct{ blocks.Blob }

func (r remote) Open(ctx context.Context, hash blocks.Hash) (blocks.Blob, error) {
	b, err := r.Store.Open(ctx, hash)
	return remoteBlob{b}, err
}

func TestWhatLiesElsewhereIsFetched(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{MediaFetch: 1000})
	w.stop()
	w.cfg.Blobs = remote{w.cfg.Blobs.(*disk.Store)}
	w.run()
	w.listen()
	const jpegHead = "\xff\xd8\xff\xe0"
	w.mustTake("bob", "f", jpegHead+"picture")
	w.mustTake("bob", "text", "some text")
	w.mustTake("bob", "large", jpegHead+strings.Repeat("x", 1000))
	w.heard(3)
	if s := w.source(jpegHead + "picture"); s.Status != blocks.DerivedReady {
		t.Errorf("%+v", s)
	}
	if s := w.source("some text"); s.Code != blocks.CodeUnsupported {
		t.Errorf("%+v", s)
	}
	if s := w.source(jpegHead + strings.Repeat("x", 1000)); s.Code != blocks.CodeTooLarge || !strings.Contains(s.Reason, "1000 bytes") {
		t.Errorf("%+v", s)
	}
	if looks := w.looks(); !slices.Equal(looks, []string{jpegHead + "picture"}) {
		t.Errorf("looked at %q", looks)
	}
	left, err := filepath.Glob(filepath.Join(w.cfg.TempDir, "[bmf]*-[0-9]*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// changing is a store of blobs that lie where somebody writes to them.
type changing struct{ *disk.Store }

type changingBlob struct{ blocks.LocalBlob }

func (changingBlob) ReadAt([]byte, int64) (int, error) { return 0, blocks.ErrFileChanged }

func (c changing) Open(ctx context.Context, hash blocks.Hash) (blocks.Blob, error) {
	b, err := c.Store.Open(ctx, hash)
	if err != nil {
		return nil, err
	}
	return changingBlob{b.(blocks.LocalBlob)}, nil
}

func TestNothingIsKeptOfAFileThatChangesMeanwhile(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{})
	w.stop()
	w.cfg.Blobs = changing{w.cfg.Blobs.(*disk.Store)}
	w.run()
	w.listen()
	w.mustTake("bob", "f", "picture")
	w.heard(1)
	if s := w.source("picture"); s.Status != blocks.DerivedFailed || s.Code != blocks.CodeLost || s.Facts != "" {
		t.Errorf("%+v", s)
	}
	if list, err := w.store.PicturesOf(t.Context(), hashOf([]byte("picture")), 0); err != nil || len(list) != 0 {
		t.Errorf("pictures %+v, %v", list, err)
	}
	if fields := w.fileFields("f"); fields["width"] != nil {
		t.Errorf("the document says %v", fields)
	}
}

// Who brings little does not wait for all that others have brought.
func TestUsersTakeTurns(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{})
	w.hold()
	w.mustTake("bob", "first", "bob first")
	w.until(func() bool { return len(w.looks()) == 1 })
	for i := range 20 {
		w.pass(time.Second)
		w.mustTake("bob", fmt.Sprint("b", i), fmt.Sprint("bob ", i))
	}
	w.pass(time.Second)
	w.mustTake("carol", "c", "carol")
	w.goOn()
	w.heard(22)
	if at := slices.Index(w.looks(), "carol"); at > 2 {
		t.Errorf("carol's was looked at after %d others", at)
	}
}

func TestABlockHearsOfItsFileWhileSomebodyWaitsForAPictureOfIt(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{PictureWait: time.Minute})
	w.mustTake("bob", "f", "picture")
	w.heard(1)
	f, err := w.FileOf(t.Context(), "eve", key("f"))
	if err != nil {
		t.Fatal(err)
	}
	w.hold()
	w.mustTake("bob", "busy", "busy")
	w.until(func() bool { return len(w.looks()) == 2 })
	opened := make(chan error, 1)
	go func() {
		p, err := w.OpenPicture(t.Context(), "eve", f, blocks.PictureRequest{Kind: blocks.KindThumbnail, Size: 64, WebP: true})
		if err == nil {
			err = p.Close()
		}
		opened <- err
	}()
	w.until(func() bool { return w.MediaWaiting() == 1 })
	w.mustTake("bob", "other", "picture")
	w.goOn()
	if got := w.heard(2); !slices.Contains(got, "other") || w.fileFields("other")["width"] != 40.0 {
		t.Errorf("%v heard, %v", got, w.fileFields("other"))
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}

func TestALostPictureIsMadeAgain(t *testing.T) {
	w := newMediaWorld(t, blocks.Limits{PictureWait: time.Minute})
	w.mustTake("bob", "f", "picture")
	w.heard(1)
	f, err := w.FileOf(t.Context(), "eve", key("f"))
	if err != nil {
		t.Fatal(err)
	}
	open := func() blocks.Hash {
		t.Helper()
		p, err := w.OpenPicture(t.Context(), "eve", f, blocks.PictureRequest{Kind: blocks.KindThumbnail, Size: 256, WebP: true})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		return p.Picture.Blob
	}
	if err := w.cfg.Blobs.Delete(t.Context(), open()); err != nil {
		t.Fatal(err)
	}
	open()
	if n := len(w.looks()); n != 2 {
		t.Errorf("%d pictures were made", n)
	}
}

// While blobs are swept, blocks get and lose the same few files: whoever has one sees its
// picture, made again if need be, and in the end nothing is left.
func TestSweepLeavesThePicturesOfWhatABlockHolds(t *testing.T) {
	var log bytes.Buffer // of the few lines that are errors
	w := newMediaWorld(t, blocks.Limits{BlobGrace: time.Nanosecond, PictureWait: time.Minute}, func(c *blocks.LogConfig) {
		c.MediaWorkers = 3
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))
	})
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	contents := []string{"one", "second", "another"}
	stop := make(chan struct{})
	var sweeping, wg sync.WaitGroup
	sweeping.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				w.pass(time.Second)
				if err := w.Sweep(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for i := range 3 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			for n := range rounds {
				block := fmt.Sprintf("b%d-%d", i, n)
				if err := w.take("bob", block, []byte(contents[rng.IntN(len(contents))])); err != nil {
					t.Errorf("take: %v", err)
					return
				}
				f, err := w.FileOf(t.Context(), "bob", key(block))
				if err != nil {
					t.Errorf("file: %v", err)
					return
				}
				p, err := w.OpenPicture(t.Context(), "bob", f, blocks.PictureRequest{Kind: blocks.KindThumbnail, Size: 64 << rng.IntN(3), WebP: true})
				if err != nil {
					t.Errorf("picture: %v", err)
					return
				}
				content, err := io.ReadAll(p)
				if err != nil || hashOf(content) != p.Picture.Blob {
					t.Errorf("a picture of %d bytes, %v", len(content), err)
				}
				p.Close()
				if _, err := w.PurgeBlock(t.Context(), author("bob"), blocks.Target{Heap: "h", Block: block}); err != nil {
					t.Errorf("purge: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	sweeping.Wait()
	w.until(func() bool { u, err := w.BlobUsage(t.Context()); return err != nil || u.Queued == 0 })
	for range 3 {
		w.pass(time.Second)
		w.sweep()
	}
	w.stop() // nobody is at work any more
	if log.Len() > 0 {
		t.Errorf("a picture was lost: %s", &log)
	}
	w.run()
	w.pass(time.Second)
	w.sweep()
	w.pass(time.Second)
	w.sweep()
	if sum, err := blocks.VerifyBlobs(t.Context(), w.store, w.cfg.Blobs, nil); err != nil || sum != (blocks.BlobSummary{}) {
		t.Errorf("left: %+v, %v", sum, err)
	}
}
