package blocks

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/heapsync/heapsync/ydoc"
)

// errNotEqual: a merge does not hold what was merged. Nothing may be replaced by it.
var errNotEqual = errors.New("merge differs from what was merged")

// foldParts merges consecutive parts of a log into one window without collecting
// anything, and makes sure that it holds what they held. Keyless is Merger's.
func foldParts(parts []Window, level Level, keyless bool) (Window, error) {
	w := Window{After: parts[0].After, FirstAt: parts[0].FirstAt, Level: level}
	m := mergers.Get().(*ydoc.Merger)
	m.Keyless = keyless
	defer func() { m.Reset(); m.Keyless = false; mergers.Put(m) }()
	for i := range parts {
		p := &parts[i]
		if i > 0 && p.After != w.To {
			return w, fmt.Errorf("part after %d follows one up to %d: %w", p.After, w.To, ErrCorrupt)
		}
		if err := m.Add(p.Update, p.format()); err != nil {
			return w, fmt.Errorf("part up to %d: %v: %w", p.To, err, ErrCorrupt)
		}
		w.To, w.LastAt = p.To, p.LastAt
		w.Updates, w.Size = w.Updates+p.Updates, w.Size+p.Size
		w.addAuthors(p.Authors)
	}
	w.Update = m.Append(nil, ydoc.V2)
	return w, holdsExactly(&w, parts)
}

func (w *Window) format() ydoc.Format {
	if w.Level == LevelUpdate {
		return ydoc.V1
	}
	return ydoc.V2
}

func (w *Window) addAuthors(shares []Share) {
	for _, a := range shares {
		i := slices.IndexFunc(w.Authors, func(s Share) bool { return s.User == a.User && s.Session == a.Session })
		if i < 0 {
			w.Authors = append(w.Authors, a)
		} else {
			w.Authors[i].Updates += a.Updates
		}
	}
}

// holdsExactly reads w again and each of parts on its own, and returns errNotEqual
// unless w has the very elements and deletions that they have, with the same content.
func holdsExactly(w *Window, parts []Window) error {
	var merged, one ydoc.Merger
	if err := merged.Add(w.Update, w.format()); err != nil {
		return fmt.Errorf("%w: %v", errNotEqual, err)
	}
	var want, got extent
	got.add(merged.Update())
	for i := range parts {
		one.Reset()
		if err := one.Add(parts[i].Update, parts[i].format()); err != nil {
			return fmt.Errorf("part up to %d: %v: %w", parts[i].To, err, ErrCorrupt)
		}
		u := one.Update()
		want.add(u)
		if id, differs := u.Conflict(merged.Update()); differs {
			return fmt.Errorf("client %d at clock %d: %w", id.Client, id.Clock, errNotEqual)
		}
	}
	if !want.equal(&got) {
		return errNotEqual
	}
	return nil
}

// extent is which elements and deletions updates have.
type extent struct{ items, collected, deleted []stretch }

// stretch is clocks [from, to) of a client.
type stretch struct {
	client   ydoc.ClientID
	from, to ydoc.Clock
}

func (e *extent) add(u *ydoc.Update) {
	for s := range u.Structs() {
		switch s.Kind {
		case ydoc.Item:
			e.items = append(e.items, stretch{s.Client, s.Clock, s.Clock + s.Len})
		case ydoc.GC:
			e.collected = append(e.collected, stretch{s.Client, s.Clock, s.Clock + s.Len})
		}
	}
	for client, r := range u.Deletes() {
		e.deleted = append(e.deleted, stretch{client, r.From, r.To})
	}
}

func (e *extent) equal(other *extent) bool {
	return slices.Equal(joined(e.items), joined(other.items)) && slices.Equal(joined(e.collected), joined(other.collected)) &&
		slices.Equal(joined(e.deleted), joined(other.deleted))
}

// joined sorts stretches and joins those that meet.
func joined(all []stretch) []stretch {
	slices.SortFunc(all, func(a, b stretch) int {
		return cmp.Or(cmp.Compare(a.client, b.client), cmp.Compare(a.from, b.from))
	})
	out := all[:0]
	for _, s := range all {
		if n := len(out) - 1; n >= 0 && out[n].client == s.client && s.from <= out[n].to {
			out[n].to = max(out[n].to, s.to)
		} else {
			out = append(out, s)
		}
	}
	return out
}
