package disk_test

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/heapsync/heapsync/blocks"
	"github.com/heapsync/heapsync/storage/blobtest"
	"github.com/heapsync/heapsync/storage/disk"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string) *disk.Store {
	t.Helper()
	s, err := disk.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBlobs(t *testing.T) {
	blobtest.Blobs(t, func(t testing.TB, dir string) blocks.Blobs { return open(t, filepath.Join(dir, "blobs")) })
}

// put stores content and returns its hash and the path of its blob.
func put(t *testing.T, s *disk.Store, dir, content string) (blocks.Hash, string) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
	hash := blocks.Hash(sha256.Sum256([]byte(content)))
	if err := s.Put(t.Context(), hash, f, int64(len(content))); err != nil {
		t.Fatal(err)
	}
	name := hash.String()
	return hash, filepath.Join(dir, "sha256", name[:2], name[2:4], name)
}

func TestPutHealsWhatIsDamaged(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for _, damage := range []string{"", "Content", "content and more"} {
		hash, path := put(t, s, dir, "content")
		if err := os.Remove(path); err != nil { // it may be a link
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		put(t, s, dir, "content")
		b, err := s.Open(t.Context(), hash)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		if err != nil || string(got) != "content" {
			t.Errorf("%q became %q, %v", damage, got, err)
		}
		b.Close()
	}
}

func TestWhatACrashLeftBehindIsNoBlob(t *testing.T) {
	dir := t.TempDir()
	hash, path := put(t, open(t, dir), dir, "content")
	stray := []string{filepath.Join(dir, "tmp", "put-1"), path + ".part", filepath.Join(dir, "sha256", "README"), filepath.Join(dir, "sha256", "ab")}
	for _, name := range stray {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	list, err := s.List(t.Context(), blocks.Hash{}, 10)
	if err != nil || len(list) != 1 || list[0] != (blocks.BlobSize{Hash: hash, Size: 7}) {
		t.Errorf("listed %v, %v", list, err)
	}
	if _, err := os.Stat(stray[0]); !os.IsNotExist(err) {
		t.Errorf("the temporary file is still there: %v", err)
	}
}

func TestFilesAreNobodyElsesToRead(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "blobs")
	_, path := put(t, open(t, dir), dir, "content")
	for path := path; len(path) >= len(dir); path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}
}

// A blob must be a syscall.Conn, or the kernel could not send it by itself.
func TestBlobsCanBeSentByTheKernel(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	hash, _ := put(t, s, dir, "content")
	b, err := s.Open(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, ok := b.(syscall.Conn); !ok {
		t.Errorf("%T is none", b)
	}
}

func TestFreeSpaceIsKnown(t *testing.T) {
	free, total, err := disk.Free(t.TempDir())
	if err != nil || free <= 0 || total < free {
		t.Errorf("%d of %d, %v", free, total, err)
	}
	if _, _, err := disk.Free("/nonexistent/folder"); err == nil {
		t.Error("a folder that is not there has free space")
	}
}

func TestFileThatCannotBeLinkedIsCopied(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("content"); err != nil {
		t.Fatal(err)
	}
	other := f.Name() // another file has its name by now
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	for _, rest := range []string{"", "another"} {
		if rest != "" {
			if err := os.WriteFile(other, []byte(rest), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		hash := blocks.Hash(sha256.Sum256([]byte("content" + rest)))
		if err := s.Put(t.Context(), hash, f, 7); err != nil {
			t.Fatal(err)
		}
		b, err := s.Open(t.Context(), hash)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b); err != nil || string(got) != "content" {
			t.Errorf("copied %q, %v", got, err)
		}
		b.Close()
	}
}
