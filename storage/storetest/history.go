package storetest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/heapsync/heapsync/blocks"
)

// written commits n updates, each at a time of its own, with some of another block
// between them.
func (b *bench) written(k blocks.BlockKey, n int) blocks.Head {
	b.Helper()
	for i := range n {
		b.clock.Add(1000)
		c := b.next(k, fmt.Sprintf("<%s %d>", k.Block, i))
		if i%2 == 1 {
			c.Updates[0].User = "bob"
		}
		b.commit(c, b.next(key(k.Heap, "other"), "o"))
	}
	return b.head(k)
}

// folded is a window over parts, whose text is theirs one after the other.
func folded(level blocks.Level, parts []blocks.Window) (w blocks.Window, seqs []blocks.Seq) {
	w = blocks.Window{After: parts[0].After, FirstAt: parts[0].FirstAt, Level: level}
	for _, p := range parts {
		seqs = append(seqs, p.To)
		w.To, w.LastAt = p.To, p.LastAt
		w.Updates, w.Size = w.Updates+p.Updates, w.Size+p.Size
		w.Update = append(w.Update, p.Update...)
		for _, a := range p.Authors {
			i := slices.IndexFunc(w.Authors, func(s blocks.Share) bool { return s.User == a.User && s.Session == a.Session })
			if i < 0 {
				w.Authors = append(w.Authors, a)
			} else {
				w.Authors[i].Updates += a.Updates
			}
		}
	}
	return w, seqs
}

// replayed is the text of the block's log up to a seq, and its parts.
func (b *bench) replayed(ref blocks.Ref, upTo blocks.Seq) (string, []blocks.Window) {
	b.Helper()
	var text strings.Builder
	var parts []blocks.Window
	last := blocks.Seq(0)
	b.must(b.s.Replay(b.Context(), ref, upTo, func(w blocks.Window) error {
		if w.After != last || w.To <= w.After {
			b.Errorf("part (%d, %d] after %d", w.After, w.To, last)
		}
		last = w.To
		text.Write(w.Update)
		w.Update = slices.Clone(w.Update)
		parts = append(parts, w)
		return nil
	}))
	return text.String(), parts
}

// foldOldest folds the n oldest updates of the block that are not folded.
func (b *bench) foldOldest(ref blocks.Ref, n int, level blocks.Level) blocks.Window {
	b.Helper()
	seqs, err := b.s.OldestUpdates(b.Context(), ref, n)
	b.must(err)
	if len(seqs) != n {
		b.Fatalf("%d oldest updates, want %d", len(seqs), n)
	}
	parts, err := b.s.Updates(b.Context(), ref, seqs, 1<<30)
	b.must(err)
	w, _ := folded(level, parts)
	b.must(b.s.FoldUpdates(b.Context(), ref, w, seqs))
	return w
}

func testReplaceSnapshot(b *bench) {
	b.heap("h")
	ctx := b.Context()
	head := b.written(key("h", "a"), 4)
	b.must(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: head.Seq, State: []byte("old")}))
	b.must(b.s.ReplaceSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: head.Seq, State: []byte("another")}))
	b.must(b.s.ReplaceSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: head.Seq - 1, State: []byte("older")}))
	_, snap, tail, err := b.s.State(ctx, head.Key)
	b.must(err)
	if string(snap.State) != "another" || snap.Seq != head.Seq || len(tail) != 0 {
		b.Errorf("snapshot is %+v with a tail of %d", snap, len(tail))
	}
}

func testWindows(b *bench) {
	b.heap("h")
	ctx := b.Context()
	head := b.written(key("h", "a"), 12)
	whole, rows := b.replayed(head.Ref, math.MaxInt64)
	if len(rows) != 12 || rows[3].Authors[0] != (blocks.Share{User: "bob", Session: "laptop", Updates: 1}) {
		b.Fatalf("the log is %v", rows)
	}
	b.must(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: rows[9].To, State: []byte("ten")}))
	seqs, err := b.s.OldestUpdates(ctx, head.Ref, 5)
	b.must(err)
	for max, want := range map[int64]int{0: 1, rows[0].Size: 1, rows[0].Size + rows[1].Size: 2, 1 << 20: 5} {
		if some, err := b.s.Updates(ctx, head.Ref, seqs, max); err != nil || fmt.Sprint(some) != fmt.Sprint(rows[:want]) {
			b.Errorf("updates of %d bytes are %v, %v", max, some, err)
		}
	}
	use, err := b.s.DiskUse(ctx, "h")
	b.must(err)
	if use.Snapshots == 0 || use.Windows != 0 || use.Folded != 0 {
		b.Errorf("disk use before folding is %+v", use)
	}
	first := b.foldOldest(head.Ref, 3, blocks.LevelMinute)
	second := b.foldOldest(head.Ref, 4, blocks.LevelMinute)
	check := func(windows ...blocks.Window) {
		b.Helper()
		n := len(windows)
		text, parts := b.replayed(head.Ref, math.MaxInt64)
		if text != whole {
			b.Errorf("log is %q, want %q", text, whole)
		}
		want := append(slices.Clone(windows), rows[7:]...)
		if fmt.Sprint(parts) != fmt.Sprint(want) {
			b.Errorf("parts are %v, want %v", parts, want)
		}
		for i, p := range want { // every boundary can be gone back to
			part, _ := b.replayed(head.Ref, p.To)
			beyond, _ := b.replayed(head.Ref, p.To+1)
			if !strings.HasPrefix(whole, part) || !strings.HasSuffix(part, string(p.Update)) || beyond != part && i < n {
				b.Errorf("log up to %d is %q", p.To, part)
			}
		}
		h := b.head(head.Key)
		if h.Raw != 5 || h.Updates != 12 || h.Bytes != head.Bytes || h.Seq != head.Seq {
			b.Errorf("head after folding is %+v, was %+v", h, head)
		}
		b.wantLog(head.Key, "<a 10>", "<a 11>")
		list, err := b.s.Windows(ctx, head.Ref)
		b.must(err)
		if len(list) != n || n > 0 && list[n-1].To != windows[n-1].To || list[0].Update != nil {
			b.Errorf("windows are %v", list)
		}
		got, err := b.s.Window(ctx, head.Ref, windows[0].To)
		b.must(err)
		if fmt.Sprint(got) != fmt.Sprint(windows[0]) {
			b.Errorf("window is %v, want %v", got, windows[0])
		}
		// The list from the newest on, in pages of every size.
		for limit := 1; limit <= len(want)+1; limit++ {
			var all []blocks.Window
			for upTo := blocks.Seq(math.MaxInt64); upTo > 0; {
				page, err := b.s.Parts(ctx, head.Ref, upTo, limit, true)
				b.must(err)
				if len(page) == 0 || len(page) > limit {
					b.Fatalf("a page of %d up to %d", len(page), upTo)
				}
				all = append(all, page...)
				upTo = page[len(page)-1].After
			}
			slices.Reverse(all)
			if fmt.Sprint(all) != fmt.Sprint(want) {
				b.Errorf("pages of %d: %v", limit, all)
			}
		}
		bare, err := b.s.Parts(ctx, head.Ref, head.Seq, 100, false)
		b.must(err)
		if len(bare) != len(want) || bare[0].Update != nil || bare[0].Size != rows[11].Size || bare[len(bare)-1].Update != nil {
			b.Errorf("parts without bytes: %v", bare)
		}
		if within, err := b.s.Parts(ctx, head.Ref, rows[1].To, 1, true); err != nil || len(within) != 1 || within[0].To != windows[0].To {
			b.Errorf("the part that holds %d is %v, %v", rows[1].To, within, err)
		}
	}
	check(first, second)
	var w blocks.Window
	w, seqs = folded(blocks.LevelHour, []blocks.Window{first, second})
	b.must(b.s.FoldWindows(ctx, head.Ref, w, seqs))
	check(w)
	w.Level = blocks.LevelBase
	b.must(b.s.FoldWindows(ctx, head.Ref, w, seqs[1:]))
	check(w)
	_, err = b.s.Window(ctx, head.Ref, seqs[0])
	b.wantErr(err, blocks.ErrNotFound, "a window that was folded")
	use, err = b.s.DiskUse(ctx, "h")
	b.must(err)
	if use.Windows == 0 || use.Folded != w.Size {
		b.Errorf("disk use after folding is %+v", use)
	}
	b.reopen()
	check(w)
	b.must(b.s.Recount(ctx, "h"))
	if again, err := b.s.DiskUse(ctx, "h"); err != nil || again != use {
		b.Errorf("disk use is %+v, counted again %+v (%v)", use, again, err)
	}
	b.wantErr(b.s.Recount(ctx, "nowhere"), blocks.ErrNotFound, "recount of no heap")
	_, err = b.s.DiskUse(ctx, "nowhere")
	b.wantErr(err, blocks.ErrNotFound, "disk use of no heap")
}

func testFoldRefused(b *bench) {
	b.heap("h")
	ctx := b.Context()
	head := b.written(key("h", "a"), 8)
	other := b.head(key("h", "other"))
	whole, rows := b.replayed(head.Ref, math.MaxInt64)
	fold := func(what string, want error, ref blocks.Ref, parts []blocks.Window, change func(*blocks.Window)) {
		b.Helper()
		w, seqs := folded(blocks.LevelMinute, parts)
		if change != nil {
			change(&w)
		}
		b.wantErr(b.s.FoldUpdates(ctx, ref, w, seqs), want, what)
	}
	fold("what no snapshot covers", blocks.ErrInvalid, head.Ref, rows[:2], nil)
	b.must(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: rows[5].To, State: []byte("six")}))
	fold("beyond the snapshot", blocks.ErrInvalid, head.Ref, rows[:7], nil)
	fold("not the oldest", blocks.ErrConflict, head.Ref, rows[1:3], nil)
	fold("of another block", blocks.ErrInvalid, other.Ref, rows[:2], nil)
	fold("of no block", blocks.ErrNotFound, 99, rows[:2], nil)
	fold("wrong count", blocks.ErrConflict, head.Ref, rows[:2], func(w *blocks.Window) { w.Updates++ })
	fold("level of an update", blocks.ErrInvalid, head.Ref, rows[:2], func(w *blocks.Window) { w.Level = blocks.LevelUpdate })
	b.wantErr(b.s.FoldUpdates(ctx, head.Ref, blocks.Window{Level: blocks.LevelHour}, nil), blocks.ErrInvalid, "of nothing")
	fold("fine", nil, head.Ref, rows[:2], nil)
	fold("again", blocks.ErrConflict, head.Ref, rows[:2], nil)
	fold("fine too", nil, head.Ref, rows[2:4], nil)

	windows, err := b.s.Windows(ctx, head.Ref)
	b.must(err)
	w, seqs := folded(blocks.LevelHour, windows)
	wrong := w
	wrong.Size++
	b.wantErr(b.s.FoldWindows(ctx, head.Ref, wrong, seqs), blocks.ErrConflict, "windows of another size")
	wrong = w
	wrong.After = 1
	b.wantErr(b.s.FoldWindows(ctx, head.Ref, wrong, seqs), blocks.ErrConflict, "windows that begin elsewhere")
	b.wantErr(b.s.FoldWindows(ctx, head.Ref, w, seqs[:1]), blocks.ErrConflict, "one window of two")
	b.wantErr(b.s.FoldWindows(ctx, other.Ref, w, seqs), blocks.ErrConflict, "windows of another block")
	if text, parts := b.replayed(head.Ref, math.MaxInt64); text != whole || len(parts) != 6 {
		b.Errorf("the log is %q in %d parts, want %q", text, len(parts), whole)
	}
	if h := b.head(head.Key); h.Raw != 4 || h.Updates != 8 {
		b.Errorf("head is %+v", h)
	}
}

// Whoever reads a log while it grows and is folded reads all of it.
func testFoldConcurrent(b *bench) {
	b.heap("h")
	ctx := b.Context()
	k := key("h", "a")
	head := b.written(k, 2)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // one folder
		rng := rand.New(rand.NewPCG(1, 1))
		for {
			select {
			case <-stop:
				return
			default:
			}
			h, err := b.s.Head(ctx, k)
			if err == nil {
				err = b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: h.Ref, Seq: h.Seq, State: []byte("s")})
			}
			if err != nil {
				b.Error(err)
				return
			}
			seqs, err := b.s.OldestUpdates(ctx, h.Ref, 1+rng.IntN(8))
			for len(seqs) > 0 && seqs[len(seqs)-1] > h.Seq {
				seqs = seqs[:len(seqs)-1]
			}
			if err == nil && len(seqs) > 0 {
				var parts []blocks.Window
				if parts, err = b.s.Updates(ctx, h.Ref, seqs, 1<<30); err == nil {
					w, _ := folded(blocks.LevelMinute, parts)
					err = b.s.FoldUpdates(ctx, h.Ref, w, seqs)
				}
			}
			if err == nil && rng.IntN(4) == 0 {
				var windows []blocks.Window
				if windows, err = b.s.Windows(ctx, h.Ref); err == nil && len(windows) > 1 {
					for i := range windows {
						if windows[i], err = b.s.Window(ctx, h.Ref, windows[i].To); err != nil {
							break
						}
					}
					w, tos := folded(blocks.LevelHour, windows)
					if err == nil {
						err = b.s.FoldWindows(ctx, h.Ref, w, tos)
					}
				}
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	for i := range 150 {
		h := b.head(k)
		c := upon(h, fmt.Sprintf("<%d>", i))
		b.commit(c)
		if text, _ := b.replayed(head.Ref, math.MaxInt64); int64(len(text)) != c.Head.Bytes {
			b.Errorf("round %d: %d bytes of %d are in the log", i, len(text), c.Head.Bytes)
		}
		parts, err := b.s.Parts(ctx, head.Ref, math.MaxInt64, 1000, false)
		b.must(err)
		size := int64(0)
		for _, p := range parts {
			size += p.Size
		}
		if size != c.Head.Bytes {
			b.Errorf("round %d: parts have %d bytes of %d", i, size, c.Head.Bytes)
		}
	}
	close(stop)
	wg.Wait()
}

func testDue(b *bench) {
	b.heap("h")
	ctx := b.Context()
	start := b.clock.Load()
	var heads []blocks.Head
	for n := range 5 {
		k := key("h", n)
		for range 3 {
			b.clock.Add(60_000)
			b.commit(b.next(k, "x"))
		}
		heads = append(heads, b.head(k))
	}
	due := func(list func(blocks.Cursor) ([]blocks.BlockKey, blocks.Cursor, error)) []blocks.BlockKey {
		b.Helper()
		var all []blocks.BlockKey
		for at := (blocks.Cursor{}); ; {
			keys, next, err := list(at)
			b.must(err)
			all = append(all, keys...)
			if next == at {
				return all
			}
			at = next
		}
	}
	updates := func(minutes int64) []blocks.BlockKey {
		return due(func(c blocks.Cursor) ([]blocks.BlockKey, blocks.Cursor, error) {
			return b.s.DueUpdates(ctx, c, start+minutes*60_000)
		})
	}
	windows := func(minutes int64) []blocks.BlockKey {
		return due(func(c blocks.Cursor) ([]blocks.BlockKey, blocks.Cursor, error) {
			return b.s.DueWindows(ctx, blocks.LevelMinute, c, start+minutes*60_000)
		})
	}
	for minutes, want := range map[int64]int{0: 0, 1: 0, 2: 1, 4: 1, 5: 2, 15: 5, 99: 5} {
		if got := updates(minutes); len(got) != want || want > 0 && got[0] != heads[0].Key {
			b.Errorf("due before minute %d: %v, want %d", minutes, got, want)
		}
	}
	for _, h := range heads[:3] {
		b.must(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: h.Ref, Seq: h.Seq, State: []byte("s")}))
		b.foldOldest(h.Ref, 3, blocks.LevelMinute)
	}
	if got := updates(99); len(got) != 2 || got[0] != heads[3].Key {
		b.Errorf("due after folding: %v", got)
	}
	for minutes, want := range map[int64]int{3: 0, 4: 1, 6: 1, 7: 2, 99: 3} {
		if got := windows(minutes); len(got) != want {
			b.Errorf("windows due before minute %d: %v, want %d", minutes, got, want)
		}
	}
}

func testVersions(b *bench) {
	b.heap("h")
	ctx := b.Context()
	head := b.written(key("h", "a"), 3)
	v := blocks.Version{ID: "one", At: 5, Name: "first draft", User: "ada", Session: "laptop"}
	b.must(b.s.AddVersion(ctx, head.Ref, &v, 3))
	if v.Seq != head.Seq {
		b.Errorf("version is of %d, want %d", v.Seq, head.Seq)
	}
	b.wantErr(b.s.AddVersion(ctx, head.Ref, &blocks.Version{ID: "one", User: "ada"}, 3), blocks.ErrConflict, "the same id")
	head = b.written(head.Key, 3)
	second := blocks.Version{ID: "two", At: 6, Name: "", User: "bob"}
	b.must(b.s.AddVersion(ctx, head.Ref, &second, 3))
	third := blocks.Version{ID: "three", At: 6, User: "bob"}
	b.must(b.s.AddVersion(ctx, head.Ref, &third, 3))
	b.wantErr(b.s.AddVersion(ctx, head.Ref, &blocks.Version{ID: "four", User: "ada"}, 3), blocks.ErrTooLarge, "one too many")
	b.wantErr(b.s.AddVersion(ctx, 99, &blocks.Version{ID: "five", User: "ada"}, 3), blocks.ErrNotFound, "of no block")
	empty := b.next(key("h", "empty"))
	b.commit(empty)
	b.wantErr(b.s.AddVersion(ctx, empty.Head.Ref, &blocks.Version{ID: "six", User: "ada"}, 3), blocks.ErrInvalid, "of a block without content")
	list, err := b.s.Versions(ctx, head.Ref)
	b.must(err)
	if fmt.Sprint(list) != fmt.Sprint([]blocks.Version{second, third, v}) {
		b.Errorf("versions are %v", list)
	}

	// No fold crosses a named version.
	_, rows := b.replayed(head.Ref, math.MaxInt64)
	b.must(b.s.SaveSnapshot(ctx, blocks.Snapshot{Ref: head.Ref, Seq: head.Seq, State: []byte("s")}))
	w, seqs := folded(blocks.LevelHour, rows[:4])
	b.wantErr(b.s.FoldUpdates(ctx, head.Ref, w, seqs), blocks.ErrConflict, "across a version")
	b.foldOldest(head.Ref, 3, blocks.LevelHour)
	b.foldOldest(head.Ref, 3, blocks.LevelHour)
	windows, err := b.s.Windows(ctx, head.Ref)
	b.must(err)
	w, seqs = folded(blocks.LevelDay, windows)
	b.wantErr(b.s.FoldWindows(ctx, head.Ref, w, seqs), blocks.ErrConflict, "windows across a version")
	b.wantErr(b.s.RemoveVersion(ctx, b.head(key("h", "other")).Ref, "one"), blocks.ErrNotFound, "version of another block")
	b.must(b.s.RemoveVersion(ctx, head.Ref, "one"))
	b.wantErr(b.s.RemoveVersion(ctx, head.Ref, "one"), blocks.ErrNotFound, "version that was removed")
	b.must(b.s.FoldWindows(ctx, head.Ref, w, seqs))
	b.clock.Add(int64(time.Second / time.Millisecond))
	b.reopen()
	if list, err := b.s.Versions(ctx, head.Ref); err != nil || len(list) != 2 {
		b.Errorf("versions after a restart: %v, %v", list, err)
	}
}
