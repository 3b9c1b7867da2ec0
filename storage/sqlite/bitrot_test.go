// Inside the package, to flip bits beneath the store.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/heapsync/heapsync/blocks"
)

var flips = flag.Int("flips", 1000, "bits to flip, in rows and in the file")

// smallStore makes a database with some of everything, closed, and with a
// rollback journal so that all of it is in one file.
func smallStore(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "heapsync.db")
	ctx := t.Context()
	s, err := Open(ctx, Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateHeap(ctx, blocks.Heap{ID: "h", Owner: "ada"}); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for n := range 4 {
		w := newWriterBlock("h", n)
		for i := range 8 {
			bytes := textLike(10 + rng.IntN(900))
			w.commit.Updates = []blocks.LoggedUpdate{{User: "ada", Session: fmt.Sprint(n), Bytes: bytes}, {User: "bob", Bytes: bytes[:5]}}
			w.commit.Head.Bytes += int64(len(bytes)) + 5
			w.commit.Hold = []blocks.HeldUpdate{{User: "eve", Bytes: bytes}}
			if err := s.Commit(ctx, &w.batch); err != nil {
				t.Fatal(err)
			}
			if i == 3 && n > 0 {
				err = s.SaveSnapshot(ctx, blocks.Snapshot{Ref: w.commit.Head.Ref, Seq: w.commit.Head.Seq, State: textLike(1000 * n)})
				if err == nil {
					_, err = foldHalf(ctx, s, w.commit.Head.Ref)
				}
				if err == nil {
					err = s.AddVersion(ctx, w.commit.Head.Ref, &blocks.Version{ID: fmt.Sprint("v", n), At: 7, Name: "good", User: "ada"}, 10)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if _, err := s.Check(ctx, func(p Problem) { t.Error(p) }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	alter(t, path, `PRAGMA journal_mode = DELETE`)
	return path
}

// foldHalf puts one window in the place of the older half of the block's updates that
// are not folded. Its text is theirs in a row.
func foldHalf(ctx context.Context, s *Store, ref blocks.Ref) (blocks.Window, error) {
	seqs, err := s.OldestUpdates(ctx, ref, 1<<20)
	if err != nil || len(seqs) < 2 {
		return blocks.Window{}, err
	}
	seqs = seqs[:len(seqs)/2]
	named, err := s.Versions(ctx, ref)
	if err != nil {
		return blocks.Window{}, err
	}
	for _, v := range named { // newest first: the oldest one within counts
		if i := slices.Index(seqs, v.Seq); i >= 0 {
			seqs = seqs[:i+1]
		}
	}
	parts, err := s.Updates(ctx, ref, seqs, 1<<30)
	if err != nil {
		return blocks.Window{}, err
	}
	w := blocks.Window{After: parts[0].After, FirstAt: parts[0].FirstAt, Level: blocks.LevelMinute}
	for _, p := range parts {
		w.To, w.LastAt = p.To, p.LastAt
		w.Updates, w.Size = w.Updates+1, w.Size+p.Size
		w.Authors = append(w.Authors, p.Authors...)
		w.Update = fmt.Appendf(w.Update, "%d %s\n", p.To, p.Update)
	}
	return w, s.FoldUpdates(ctx, ref, w, seqs)
}

// foldWindows puts one window in the place of the newest two of the block between which no
// version is named.
func foldWindows(ctx context.Context, s *Store, ref blocks.Ref) error {
	windows, err := s.Windows(ctx, ref)
	if err != nil {
		return err
	}
	named, err := s.Versions(ctx, ref)
	if err != nil {
		return err
	}
	for i := len(windows) - 2; i >= 0; i-- {
		if slices.ContainsFunc(named, func(v blocks.Version) bool { return v.Seq == windows[i].To }) {
			continue
		}
		a, err := s.Window(ctx, ref, windows[i].To)
		if err != nil {
			return err
		}
		b, err := s.Window(ctx, ref, windows[i+1].To)
		if err != nil {
			return err
		}
		w := blocks.Window{After: a.After, To: b.To, FirstAt: a.FirstAt, LastAt: b.LastAt, Updates: a.Updates + b.Updates,
			Size: a.Size + b.Size, Level: blocks.LevelHour, Authors: append(a.Authors, b.Authors...), Update: append(a.Update, b.Update...)}
		return s.FoldWindows(ctx, ref, w, []blocks.Seq{a.To, b.To})
	}
	return nil
}

func TestCheckFindsEveryFlippedBitOfARow(t *testing.T) {
	db, err := sql.Open("sqlite3", smallStore(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	columns := map[string][]string{
		"updates":   {"seq", "block", "prev", "actor", "at", "crc", "bytes", "bytes", "bytes"},
		"snapshots": {"block", "seq", "crc", "state", "state"},
		"history":   {"block", "after_seq", "to_seq", "first_at", "last_at", "updates", "size", "level", "crc", "authors", "bytes", "bytes"},
		"versions":  {"block", "seq", "at", "actor", "crc"},
		"heaps":     {"state_bytes", "history_bytes", "folded_bytes"},
		"clock":     {"seq", "gone"},
		"held":      {"block", "actor", "at", "crc", "bytes"},
		"blocks":    {"seq", "sync_version", "bytes", "depth", "items", "branches", "keyed", "wide", "tail", "tail_bytes", "updates", "raw", "snapshot_seq", "held", "held_bytes", "updated_at", "crc", "state_vector"},
	}
	tables := []string{"updates", "updates", "updates", "snapshots", "snapshots", "history", "history", "versions", "held", "blocks", "heaps", "clock"}
	found := 0
	for found < *flips {
		table := tables[rng.IntN(len(tables))]
		column := columns[table][rng.IntN(len(columns[table]))]
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		what, err := flipColumn(tx, rng, table, column)
		if err == nil {
			problems := 0
			if _, err := check(t.Context(), tx, func(Problem) { problems++ }); err != nil {
				t.Fatal(err)
			}
			if problems == 0 {
				t.Fatalf("seed %d: not found: %s", seed, what)
			}
			found++
		} else if e, ok := errors.AsType[sqlite3.Error](err); !ok || e.Code != sqlite3.ErrConstraint {
			t.Fatal(err) // a key that is taken cannot be written, only another be chosen
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("found %d of %d flipped bits", found, *flips)
}

// flipColumn flips one bit of one value in a random row.
func flipColumn(tx *sql.Tx, rng *rand.Rand, table, column string) (string, error) {
	key := map[string]string{"updates": "seq", "snapshots": "block", "held": "id", "blocks": "ref",
		"history": "id", "versions": "id", "heaps": "id", "clock": "id"}[table]
	var row, value any
	err := tx.QueryRow(`SELECT `+key+`, `+column+` FROM `+table+` ORDER BY random() LIMIT 1`).Scan(&row, &value)
	if err != nil {
		return "", err
	}
	bit := 0
	switch v := value.(type) {
	case int64:
		bit = rng.IntN(63)
		value = v ^ 1<<bit
	case []byte:
		bit = rng.IntN(8 * len(v))
		v[bit/8] ^= 1 << (bit % 8)
	}
	_, err = tx.Exec(`UPDATE `+table+` SET `+column+` = ? WHERE `+key+` = ?`, value, row)
	return fmt.Sprintf("bit %d of %s.%s in row %v", bit, table, column, row), err
}

// A bit that is flipped anywhere in the file is found, or it changes nothing that
// is read: it was in a part of a page that is not used.
func TestCheckFindsEveryFlippedBitOfTheFile(t *testing.T) {
	original, err := os.ReadFile(smallStore(t))
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	want, problems := checkFile(t, original)
	if problems > 0 {
		t.Fatalf("%d problems in the file as it was", problems)
	}
	found, harmless := 0, 0
	for range *flips {
		bit := rng.IntN(8 * len(original))
		file := append([]byte(nil), original...)
		file[bit/8] ^= 1 << (bit % 8)
		got, problems := checkFile(t, file)
		switch {
		case problems > 0:
			found++
		case got == want:
			harmless++
		default:
			t.Errorf("seed %d: bit %d of byte %d (%d in its page) was not found", seed, bit%8, bit/8, bit/8%4096)
		}
	}
	t.Logf("found %d, harmless %d", found, harmless)
}

// checkFile checks a database in memory, and returns all that the checksums are to
// keep.
func checkFile(t *testing.T, file []byte) (dump string, problems int) {
	t.Helper()
	db := openMemory(t)
	defer db.Close()
	ctx := t.Context()
	conn, err := db.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = conn.Raw(func(c any) error { return c.(*sqlite3.SQLiteConn).Deserialize(file, "main") })
	if err != nil {
		return "", 1 // not a database any more
	}
	if _, err := check(ctx, conn, func(Problem) { problems++ }); err != nil {
		t.Fatal(err)
	}
	if problems > 0 {
		return "", problems
	}
	var out strings.Builder
	for _, query := range []string{
		`SELECT seq, block, prev, actor, at, crc, hex(bytes) FROM updates ORDER BY seq`,
		`SELECT id, user, session, '', '', '', '' FROM actors ORDER BY id`,
		`SELECT block, seq, crc, hex(state), '', '', '' FROM snapshots ORDER BY block`,
		`SELECT id, block, actor, at, crc, hex(bytes), '' FROM held ORDER BY id`,
		`SELECT block, after_seq, to_seq, updates, crc, hex(authors), hex(bytes) FROM history ORDER BY block, to_seq`,
		`SELECT id, block, seq, at, actor, name, crc FROM versions ORDER BY id`,
		`SELECT ref, block, type, seq, hex(state_vector), bytes, updates FROM blocks ORDER BY ref`,
	} {
		if err := dumpRows(ctx, conn, query, &out); err != nil {
			return err.Error(), 1
		}
	}
	return out.String(), 0
}

func openMemory(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

func dumpRows(ctx context.Context, conn *sql.Conn, query string, out *strings.Builder) error {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var v [7]string
		if err := rows.Scan(&v[0], &v[1], &v[2], &v[3], &v[4], &v[5], &v[6]); err != nil {
			return err
		}
		fmt.Fprintln(out, v)
	}
	return rows.Err()
}
