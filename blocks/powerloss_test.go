package blocks_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/disk"
	"github.com/heapsync/heapsync/storage/powertest"
	"github.com/heapsync/heapsync/storage/sqlite"
)

var powerStates = flag.Int("power-states", 300, "states after a power cut to open")

// powerEnv names the folder of the workload that this binary is then.
const powerEnv = "HEAPSYNC_TEST_UPLOADS"

const (
	powerChunked = 4 // blocks with a file that comes in chunks: c0, c1…
	powerSerial  = 3 // and of one that comes in a row: s0, s1…
)

// powerFile is what a block's file is.
func powerFile(block string) []byte {
	seed := uint64(block[0])<<8 + uint64(block[1])
	p := noise(4*minChunk+int64(seed)*7, seed)
	copy(p, block) // noise of one seed may be that of another
	return p
}

func openPower(dir, temp string) (in *blocks.Instance, blobs *disk.Store, end func() error, err error) {
	ctx, stop := context.WithCancel(context.Background())
	store, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(dir, "heapsync.db")})
	if err != nil {
		stop()
		return nil, nil, nil, err
	}
	if blobs, err = disk.Open(filepath.Join(dir, "blobs")); err != nil {
		stop()
		return nil, nil, nil, errors.Join(err, store.Close())
	}
	in = blocks.New(blocks.LogConfig{Store: store, Blobs: blobs, UploadDir: filepath.Join(dir, "uploads"), TempDir: temp})
	var running sync.WaitGroup
	running.Go(func() { in.Run(ctx) })
	return in, blobs, func() error {
		stop()
		running.Wait()
		return store.Close()
	}, nil
}

// uploadUntilThePowerFails uploads as clients do, and prints a line for all that was
// acknowledged.
func uploadUntilThePowerFails(dir string) {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	temp, err := os.MkdirTemp("", "power-")
	check(err)
	defer os.RemoveAll(temp)
	in, _, _, err := openPower(dir, temp)
	check(err)
	_, _, err = in.AddHeap(ctx, "ada", "h", "Heap", false)
	check(err)
	author := blocks.Author{User: "ada"}
	var wg sync.WaitGroup
	for n := range powerChunked {
		wg.Go(func() {
			block := fmt.Sprintf("c%d", n)
			content := powerFile(block)
			f := blocks.NewFile{Key: key(block), Hash: sha256.Sum256(content), Size: int64(len(content)), Name: block}
			st, err := in.BeginUpload(ctx, author, f, minChunk)
			check(err)
			fmt.Println("begun", block)
			put := func(chunk int64, content []byte) {
				from := chunk * minChunk
				_, err := in.PutChunk(ctx, author, f.Key, f.Hash, chunk, bytes.NewReader(content[from:min(from+minChunk, f.Size)]), nil)
				check(err)
			}
			if n == 1 { // a chunk that is other bytes at first
				put(2, make([]byte, f.Size))
			}
			var chunks sync.WaitGroup
			for _, chunk := range rand.Perm(int(st.Chunks)) {
				chunks.Go(func() {
					put(int64(chunk), content)
					fmt.Println("chunk", block, chunk)
				})
			}
			chunks.Wait()
			_, err = in.CompleteUpload(ctx, author, f.Key, f.Hash)
			check(err)
			fmt.Println("file", block)
		})
	}
	for n := range powerSerial {
		wg.Go(func() {
			block := fmt.Sprintf("s%d", n)
			content := powerFile(block)
			size := int64(len(content))
			st, err := in.BeginSerial(ctx, author, blocks.NewFile{Key: key(block), Size: size, Name: block}, blocks.Serial{})
			check(err)
			for st.Offset < size {
				fmt.Println("offset", block, st.Name, st.Offset)
				piece := content[st.Offset:min(st.Offset+50_001, size)]
				st, err = in.AppendSerial(ctx, author, st.Name, blocks.SerialBody{Reader: bytes.NewReader(piece), At: st.Offset, Size: -1})
				check(err)
			}
			fmt.Println("file", block)
		})
	}
	wg.Wait()
}

// TestPowerLossLosesNothingOfUploads cuts the power of real uploads. What a trace that is
// without one kind of sync says is the negative control.
func TestPowerLossLosesNothingOfUploads(t *testing.T) {
	powertest.NeedStrace(t)
	dir := t.TempDir()
	trace := powertest.Record(t, dir, func(wrap ...string) *exec.Cmd {
		args := append(wrap, os.Args[0])
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Env = append(os.Environ(), powerEnv+"="+dir)
		return cmd
	})
	verify := func(ctx context.Context, dir string, acks []string) error {
		return verifyUploads(ctx, t.TempDir(), dir, acks)
	}
	if harmed, faults := trace.Cut(t, *powerStates, verify); harmed > 0 {
		t.Error(faults)
	}
	for name, drop := range map[string]func(powertest.Event) bool{
		"bytes of uploads": func(e powertest.Event) bool {
			return e.Kind == powertest.Sync && strings.HasPrefix(e.Path, "uploads/")
		},
		"names of uploads": func(e powertest.Event) bool { return e.Kind == powertest.SyncFolder && e.Path == "uploads" },
		"names of blobs": func(e powertest.Event) bool {
			return e.Kind == powertest.SyncFolder && strings.HasPrefix(e.Path, "blobs/sha256/") && len(e.Path) == len("blobs/sha256/aa/bb")
		},
		"folders of blobs": func(e powertest.Event) bool {
			return e.Kind == powertest.SyncFolder && strings.HasPrefix(e.Path, "blobs/sha256") && len(e.Path) < len("blobs/sha256/aa/bb")
		},
	} {
		without := trace.Without(drop)
		if len(without) == len(trace) {
			t.Errorf("no %s were synced", name)
		}
		if harmed, _ := without.Cut(t, 60, verify); harmed == 0 {
			t.Errorf("nothing was lost without a sync of the %s: this test is broken", name)
		}
	}
}

// verifyUploads opens what is in dir, looks for what was acknowledged, and goes on with
// what is not whole.
func verifyUploads(ctx context.Context, temp, dir string, acks []string) (err error) {
	in, blobs, end, err := openPower(dir, temp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	if err := blobsAreWhole(ctx, blobs); err != nil {
		return err
	}
	author := blocks.Author{User: "ada"}
	names := map[string]blocks.Hash{} // of serial uploads
	for _, ack := range acks {
		what, rest, _ := strings.Cut(ack, " ")
		block, rest, _ := strings.Cut(rest, " ")
		content := powerFile(block)
		file, openErr := in.OpenFile(ctx, "ada", key(block))
		if openErr != nil && what != "offset" {
			return fmt.Errorf("%q: %w", ack, openErr)
		}
		switch what {
		case "begun":
		case "chunk":
			chunk, err := strconv.ParseInt(rest, 10, 64)
			if err != nil {
				return err
			}
			from, p := chunk*minChunk, make([]byte, min(minChunk, file.Size()-chunk*minChunk))
			if _, err := file.ReadAt(p, from); err != nil && err != io.EOF || !bytes.Equal(p, content[from:from+int64(len(p))]) {
				return fmt.Errorf("%q: other bytes, or %v", ack, err)
			}
		case "offset":
			name, offset, _ := strings.Cut(rest, " ")
			if names[block], err = blocks.ParseHash(name); err != nil {
				return err
			}
			st, err := in.SerialUpload(ctx, author, names[block])
			if at, numErr := strconv.ParseInt(offset, 10, 64); err != nil || numErr != nil || st.Offset < at {
				return fmt.Errorf("%q: it is %d, %w", ack, st.Offset, errors.Join(err, numErr))
			}
		case "file":
			got, err := io.ReadAll(file)
			if err != nil || !bytes.Equal(got, content) {
				return fmt.Errorf("%q: other bytes, or %w", ack, err)
			}
			delete(names, block)
		default:
			return fmt.Errorf("acknowledgement %q", ack)
		}
		if openErr == nil {
			file.Close()
		}
	}
	if err := finish(ctx, in, author, acks, names); err != nil {
		return err
	}
	return blobsAreWhole(ctx, blobs)
}

// finish uploads what is missing, as clients do when the server is back.
func finish(ctx context.Context, in *blocks.Instance, author blocks.Author, acks []string, names map[string]blocks.Hash) error {
	for n := range powerChunked {
		block := fmt.Sprintf("c%d", n)
		content := powerFile(block)
		f := blocks.NewFile{Key: key(block), Hash: sha256.Sum256(content), Size: int64(len(content)), Name: block}
		if !slices.Contains(acks, "begun "+block) {
			continue
		}
		st, err := in.BeginUpload(ctx, author, f, minChunk)
		if err != nil {
			return err
		}
		for chunk := range st.Chunks {
			if st.Status == blocks.UploadComplete || slices.ContainsFunc(st.Received, func(r [2]int64) bool { return r[0] <= chunk && chunk <= r[1] && (n != 1 || chunk != 2) }) {
				continue // the one that may be other bytes is sent again
			}
			from := chunk * minChunk
			if _, err := in.PutChunk(ctx, author, f.Key, f.Hash, chunk, bytes.NewReader(content[from:min(from+minChunk, f.Size)]), nil); err != nil {
				return fmt.Errorf("put chunk %d of %s: %w", chunk, block, err)
			}
		}
		if _, err := in.CompleteUpload(ctx, author, f.Key, f.Hash); err != nil {
			return fmt.Errorf("complete %s: %w", block, err)
		}
	}
	for block, name := range names {
		st, err := in.SerialUpload(ctx, author, name)
		if err == nil && st.File == nil {
			st, err = in.AppendSerial(ctx, author, name, blocks.SerialBody{Reader: bytes.NewReader(powerFile(block)[st.Offset:]), At: st.Offset, Size: -1})
		}
		if err == nil && (st.File == nil || st.File.Hash != sha256.Sum256(powerFile(block))) {
			err = errors.New("it has become another file, or none")
		}
		if err != nil {
			return fmt.Errorf("go on with %s: %w", block, err)
		}
	}
	return nil
}

// blobsAreWhole reads all blobs.
func blobsAreWhole(ctx context.Context, blobs *disk.Store) error {
	list, err := blobs.List(ctx, blocks.Hash{}, 100)
	if err != nil {
		return err
	}
	for _, b := range list {
		blob, err := blobs.Open(ctx, b.Hash)
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, blob)
		blob.Close()
		if err != nil || blocks.Hash(h.Sum(nil)) != b.Hash {
			return fmt.Errorf("blob %s of %d bytes is not whole: %w", b.Hash, b.Size, err)
		}
	}
	return nil
}
