package blocks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/heapsync/heapsync/ydoc"
)

// pause is how long nobody edits a block before its state counts as a version.
const pause = 10 * time.Minute

// Moment is a state of a block that can be gone back to: a named version, or the end
// of a window, or of edits before a pause.
type Moment struct {
	ID      string
	Seq     Seq
	At      int64  // when it was named, or when the last update in it was committed
	Name    string // "": nobody named it
	Authors []Share
}

// BlockHistory is a page of a block's history, newest first.
type BlockHistory struct {
	Head    Head
	State   []byte // the whole block as it is now; format V1
	Parts   []Window
	Moments []Moment // of the page's parts; named ones too
	Next    string   // "": this is the last page
}

// historyCursor is where a page of history begins: with the part up to seq, below one
// that begins at at.
func historyCursor(seq Seq, at int64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d", seq, at))
}

func parseHistoryCursor(s string) (seq Seq, at int64, err error) {
	if s == "" {
		return math.MaxInt64, math.MaxInt64, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		a, b, _ := strings.Cut(string(text), " ")
		var n int64
		n, err = strconv.ParseInt(a, 10, 64)
		if err == nil {
			at, err = strconv.ParseInt(b, 10, 64)
		}
		seq = Seq(n)
	}
	if err != nil || seq <= 0 || historyCursor(seq, at) != s {
		return 0, 0, ErrCursor
	}
	return seq, at, nil
}

// maxHistoryBytes is how many bytes of updates a page of history may have.
const maxHistoryBytes = 16 << 20

// BlockHistory lists what happened to a block, to a user who can read it. With bytes each
// part has its update, in format V1, and there may be fewer on a page.
func (in *Instance) BlockHistory(ctx context.Context, user UserID, t Target, cursor string, limit int, bytes bool) (BlockHistory, error) {
	upTo, newer, err := parseHistoryCursor(cursor)
	if err != nil {
		return BlockHistory{}, err
	}
	key, err := in.resolve(ctx, &roleCache{in: in, user: user}, t, RoleViewer)
	if err != nil {
		return BlockHistory{}, err
	}
	now, err := in.Diff(ctx, key, ydoc.StateVector{})
	if err != nil {
		return BlockHistory{}, err
	}
	h := BlockHistory{Head: now.Head, State: now.Update}
	if h.Parts, err = in.store.Parts(ctx, h.Head.Ref, upTo, limit, false); err != nil {
		return h, err
	}
	if bytes {
		size, n := int64(0), 0
		for n < len(h.Parts) && (n == 0 || size+h.Parts[n].Size <= maxHistoryBytes) {
			size += h.Parts[n].Size
			n++
		}
		if h.Parts, err = in.store.Parts(ctx, h.Head.Ref, upTo, n, true); err != nil {
			return h, err
		}
	}
	named, err := in.store.Versions(ctx, h.Head.Ref)
	if err != nil {
		return h, err
	}
	h.Moments = moments(h.Parts, named, newer)
	if n := len(h.Parts); n > 0 && h.Parts[n-1].After > 0 {
		h.Next = historyCursor(h.Parts[n-1].After, h.Parts[n-1].FirstAt)
	}
	for i := range h.Parts {
		p := &h.Parts[i]
		if bytes && p.format() == ydoc.V2 {
			if p.Update, err = ydoc.ConvertUpdate(p.Update, ydoc.V2, ydoc.V1); err != nil {
				return h, fmt.Errorf("part up to %d: %v: %w", p.To, err, ErrCorrupt)
			}
		}
	}
	return h, nil
}

// moments returns the moments among parts, which are newest first and lie below one
// that begins at newer.
func moments(parts []Window, named []Version, newer int64) []Moment {
	names := make(map[Seq][]Version, len(named))
	for _, v := range named {
		names[v.Seq] = append(names[v.Seq], v)
	}
	var all []Moment
	first := 0 // of the moments of the part before
	for i := range parts {
		p := &parts[i]
		from := len(all)
		for _, v := range names[p.To] {
			all = append(all, Moment{ID: v.ID, Seq: v.Seq, At: v.At, Name: v.Name})
		}
		if from == len(all) && (p.Level != LevelUpdate || newer-p.LastAt >= pause.Milliseconds()) {
			all = append(all, Moment{ID: momentID(p.To), Seq: p.To, At: p.LastAt})
		}
		if from < len(all) {
			first = from
		}
		for j := first; j < len(all); j++ { // what follows up to the next moment is in it
			w := Window{Authors: all[j].Authors}
			w.addAuthors(p.Authors)
			all[j].Authors = w.Authors
		}
		newer = p.FirstAt
	}
	return all
}

// momentID is the id of a moment that nobody named; others are UUIDs.
func momentID(seq Seq) string { return "s" + strconv.FormatInt(int64(seq), 10) }

// NameVersion gives the block's state as of now a name.
func (in *Instance) NameVersion(ctx context.Context, author Author, t Target, name string) (Version, error) {
	name = strings.TrimSpace(name)
	if name == "" || !utf8.ValidString(name) || utf8.RuneCountInString(name) > maxNameLen {
		return Version{}, fmt.Errorf("name must have 1 to %d characters: %w", maxNameLen, ErrInvalid)
	}
	key, err := in.resolve(ctx, &roleCache{in: in, user: author.User}, t, RoleEditor)
	if err != nil {
		return Version{}, err
	}
	head, err := in.store.Head(ctx, key)
	if err != nil {
		return Version{}, err
	}
	if head.DeletedAt != 0 {
		return Version{}, ErrDeleted
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Version{}, fmt.Errorf("make version id: %w", err)
	}
	v := Version{ID: id.String(), At: in.now().UnixMilli(), Name: name, User: author.User, Session: author.Session}
	return v, in.store.AddVersion(ctx, head.Ref, &v, in.limits.Versions)
}

// RemoveVersion forgets a name. What it named may be thinned like any other moment.
func (in *Instance) RemoveVersion(ctx context.Context, user UserID, t Target, id string) error {
	key, err := in.resolve(ctx, &roleCache{in: in, user: user}, t, RoleEditor)
	if err != nil {
		return err
	}
	head, err := in.store.Head(ctx, key)
	if err != nil {
		return err
	}
	return in.store.RemoveVersion(ctx, head.Ref, id)
}

// VersionContent is what a block was at a moment.
type VersionContent struct {
	Moment
	Content        json.RawMessage
	Added, Removed int // UTF-16 code units of text, against the moment before
}

// Version shows a block as it was at a moment.
func (in *Instance) Version(ctx context.Context, user UserID, t Target, id string) (VersionContent, error) {
	key, err := in.resolve(ctx, &roleCache{in: in, user: user}, t, RoleViewer)
	if err != nil {
		return VersionContent{}, err
	}
	head, m, err := in.moment(ctx, key, id)
	if err != nil {
		return VersionContent{}, err
	}
	before, authors, err := in.before(ctx, head.Ref, m.Seq)
	if err != nil {
		return VersionContent{}, err
	}
	v := VersionContent{Moment: m}
	v.Authors = authors
	err = in.withDocuments(ctx, func() error {
		doc := ydoc.NewDoc(ydoc.Options{MaxDepth: in.limits.TypeDepth, KeepDeleted: true})
		var earlier ydoc.Snapshot
		err := in.replay(ctx, head, m.Seq, doc, func(to Seq) {
			if to == before {
				earlier = doc.Snapshot()
			}
		})
		if err != nil {
			return err
		}
		v.Added, v.Removed = doc.Changes(earlier, doc.Snapshot())
		v.Content, err = contentOf(doc)
		return err
	})
	return v, err
}

// moment finds a moment of a block by its id.
func (l *Log) moment(ctx context.Context, key BlockKey, id string) (Head, Moment, error) {
	head, err := l.readable(ctx, key)
	if err != nil {
		return head, Moment{}, err
	}
	if text, ok := strings.CutPrefix(id, "s"); ok {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n <= 0 || momentID(Seq(n)) != id {
			return head, Moment{}, fmt.Errorf("version: %w", ErrNotFound)
		}
		parts, err := l.store.Parts(ctx, head.Ref, Seq(n), 1, false)
		if err == nil && (len(parts) == 0 || parts[0].To != Seq(n)) {
			err = fmt.Errorf("version: %w", ErrNotFound)
		}
		if err != nil {
			return head, Moment{}, err
		}
		return head, Moment{ID: id, Seq: Seq(n), At: parts[0].LastAt}, nil
	}
	named, err := l.store.Versions(ctx, head.Ref)
	if err != nil {
		return head, Moment{}, err
	}
	i := slices.IndexFunc(named, func(v Version) bool { return v.ID == id })
	if i < 0 {
		return head, Moment{}, fmt.Errorf("version: %w", ErrNotFound)
	}
	return head, Moment{ID: id, Seq: named[i].Seq, At: named[i].At, Name: named[i].Name}, nil
}

// readable returns the head of a block whose content may be read.
func (l *Log) readable(ctx context.Context, key BlockKey) (Head, error) {
	head, err := l.store.Head(ctx, key)
	switch {
	case err != nil:
		return head, err
	case head.DeletedAt != 0:
		return head, ErrDeleted
	case head.Quarantine != "":
		return head, ErrQuarantined
	}
	return head, nil
}

// beforeParts bounds how many parts are looked at for the moment before another; if they
// have none, the oldest of them counts as one.
const beforeParts = 5000

// before returns the moment before the one at seq, 0 if there is none, and who wrote
// what came in between.
func (l *Log) before(ctx context.Context, ref Ref, seq Seq) (Seq, []Share, error) {
	named, err := l.store.Versions(ctx, ref)
	if err != nil {
		return 0, nil, err
	}
	var w Window
	newer := int64(math.MinInt64) // no pause before the moment itself
	for looked := 0; looked < beforeParts; {
		const page = 500
		parts, err := l.store.Parts(ctx, ref, seq, page, false)
		if err != nil {
			return 0, nil, err
		}
		skip := 0
		if looked == 0 && len(parts) > 0 {
			w.addAuthors(parts[0].Authors)
			newer, skip = parts[0].FirstAt, 1
		}
		for _, p := range parts[skip:] {
			if len(moments([]Window{p}, named, newer)) > 0 {
				return p.To, w.Authors, nil
			}
			w.addAuthors(p.Authors)
			newer = p.FirstAt
		}
		if len(parts) == 0 || parts[len(parts)-1].After == 0 {
			return 0, w.Authors, nil
		}
		seq = parts[len(parts)-1].After
		looked += len(parts)
	}
	return seq, w.Authors, nil
}

// replay applies the block's log up to the moment at seq to doc, which is empty, and
// calls passed, unless it is nil, after each part.
func (l *Log) replay(ctx context.Context, head Head, seq Seq, doc *ydoc.Doc, passed func(to Seq)) error {
	var m ydoc.Merger
	reached := Seq(0)
	err := l.store.Replay(ctx, head.Ref, seq, func(w Window) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		m.Reset()
		if err := m.Add(w.Update, w.format()); err != nil {
			return fmt.Errorf("part up to %d: %v: %w", w.To, err, ErrCorrupt)
		}
		err := doc.ApplyUpdate(m.Update())
		if _, ok := errors.AsType[*ydoc.DecodeError](err); ok {
			return fmt.Errorf("document of %s: %v: %w", head.Key, err, ErrTooLarge)
		}
		if reached = w.To; err == nil && passed != nil {
			passed(w.To)
		}
		return err
	})
	if err == nil && reached != seq {
		err = fmt.Errorf("version: %w", ErrNotFound) // it was folded meanwhile
	}
	return err
}

// RestoreVersion makes the block what it was at a moment. That is an edit like any other:
// clients that have the block open get it, and what came since stays in history.
func (in *Instance) RestoreVersion(ctx context.Context, author Author, t Target, id string) (Appended, error) {
	key, err := in.resolve(ctx, &roleCache{in: in, user: author.User}, t, RoleEditor)
	if err != nil {
		return Appended{}, err
	}
	head, m, err := in.moment(ctx, key, id)
	if err != nil {
		return Appended{}, err
	}
	update, err := in.restoring(ctx, head, m.Seq)
	if err != nil {
		return Appended{}, err
	}
	if update == nil {
		head, err = in.store.Head(ctx, key)
		return Appended{Duplicate: true, Seq: head.Seq, SyncVersion: head.SyncVersion, StateVector: head.StateVector}, err
	}
	return in.AppendAndWait(ctx, Append{Key: key, Author: author, Update: update})
}

// restoring returns the edit that makes the block what it was at seq, nil if it shows that.
func (l *Log) restoring(ctx context.Context, head Head, seq Seq) (update []byte, err error) {
	err = l.withDocuments(ctx, func() error {
		old := ydoc.NewDoc(ydoc.Options{MaxDepth: l.limits.TypeDepth})
		if err := l.replay(ctx, head, seq, old, nil); err != nil {
			return err
		}
		now := ydoc.NewDoc(ydoc.Options{MaxDepth: l.limits.TypeDepth})
		if _, err := l.build(ctx, head.Key, now); err != nil {
			return err
		}
		if !sameContent(now, old) {
			update = now.Restore(old).Update(ydoc.V1)
		}
		return nil
	})
	return update, err
}
