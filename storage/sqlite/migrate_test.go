// Inside the package, to check the database that was migrated.
package sqlite

import (
	"compress/gzip"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/heapsync/heapsync/blocks"
)

// oldDatabase unpacks testdata/schema-3.db.gz, which is what smallStore made before there
// was history: four blocks with sixteen updates each, three of them with a snapshot.
func oldDatabase(t *testing.T) string {
	t.Helper()
	packed, err := os.Open("testdata/schema-3.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	file, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "heapsync.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDatabaseOfSchema3IsMigratedWhole(t *testing.T) {
	s := openTest(t, Config{Path: oldDatabase(t)})
	ctx := t.Context()
	sum, err := s.Check(ctx, func(p Problem) { t.Error(p) })
	if err != nil || sum.Updates != 64 || sum.Blocks != 4 || sum.Snapshots != 3 {
		t.Errorf("%+v, %v", sum, err)
	}
	head, err := s.Head(ctx, newWriterBlock("h", 1).commit.Head.Key)
	if err != nil || head.Updates != 16 || head.Raw != 16 {
		t.Fatalf("%+v, %v", head, err)
	}
	// It goes on as any other.
	if _, err := foldHalf(ctx, s, head.Ref); err != nil {
		t.Error(err)
	}
	c := blocks.BlockCommit{Head: head, Updates: []blocks.LoggedUpdate{{User: "ada", Bytes: []byte("new")}}}
	c.Head.Bytes += 3
	if err := s.Commit(ctx, &blocks.Batch{Blocks: []*blocks.BlockCommit{&c}}); err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	err = s.Replay(ctx, head.Ref, math.MaxInt64, func(w blocks.Window) error {
		n += w.Updates
		return nil
	})
	if err != nil || n != 17 {
		t.Errorf("%d updates, %v", n, err)
	}
	if _, err := s.Check(ctx, func(p Problem) { t.Error(p) }); err != nil {
		t.Error(err)
	}
}
