package blocks

import (
	"context"
	"errors"

	"github.com/heapsync/heapsync/ydoc"
)

// describe tells the blocks that have a file, and those who watch them, that it was looked
// at. Documents learn of it once for each file: what a client changes then, stays.
func (d *deriver) describe(ctx context.Context, src Source) error {
	if src.Status != DerivedReady && src.Status != DerivedFailed {
		return nil
	}
	for {
		const page = 500
		list, err := d.in.store.Undescribed(ctx, &src.Hash, page)
		if err != nil {
			return err
		}
		if src.Code == CodeNoEngine || src.Code == CodeTimeout || src.Code == CodeLost { // there may be more to tell later
			for _, u := range list {
				d.in.tellDerived(u.File)
			}
			return nil
		}
		left := 0
		for _, u := range list {
			done, err := d.in.describe(ctx, u, src.ParseFacts())
			if err != nil {
				return err
			}
			if !done {
				left++
				continue
			}
			if err := d.in.store.SetDescribed(ctx, u.Key, u.Hash); err != nil {
				return err
			}
			d.in.tellDerived(u.File)
		}
		if len(list) < page || left > 0 {
			return nil
		}
	}
}

// describe has a block's document say what was found out about its file, as an edit of
// whoever brought it. done is false for what has come into the trash and may leave it.
func (in *Instance) describe(ctx context.Context, u Undescribed, facts *Facts) (done bool, err error) {
	if facts == nil {
		return true, nil
	}
	author := Author{User: u.User}
	if author.User == "" { // it came from another block
		heap, err := in.store.Heap(ctx, u.Key.Heap)
		if err != nil {
			return true, ignoreGone(err)
		}
		author.User = heap.Owner
	}
	done = true
	_, err = in.Edit(ctx, author, u.Key, func(head Head, doc *ydoc.Doc) error {
		about := doc.Map(aboutRoot)
		if _, trashed := timeOf(about, trashKey); trashed || head.TrashedAt != 0 {
			done = false
			return nil
		}
		if named := fileNamed(about); named.hash != nil && *named.hash == u.Hash {
			sayFacts(about, facts, u.Again)
		}
		return nil
	})
	switch {
	case err == nil:
		return done, nil
	case ctx.Err() != nil || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrFull) || errors.Is(err, ErrFailed):
		return false, err
	}
	in.logger.Debug("block not described", "heap", u.Key.Heap, "block", u.Key.Block, "err", err)
	return true, nil // it is deleted, or cannot be edited
}

func ignoreGone(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// sayFacts fills in what the map of a block's file lacks, or with again replaces it.
func sayFacts(about ydoc.Map, facts *Facts, again bool) {
	v, _ := about.Value("file")
	has := map[string]any{}
	fields(v, func(key string, value any) bool {
		has[key] = value
		return len(has) <= maxApps
	})
	var missing ydoc.Object
	for _, m := range []ydoc.Member{
		{Key: "width", Value: float64(facts.Width)}, {Key: "height", Value: float64(facts.Height)},
		{Key: "duration", Value: facts.Duration}, {Key: "thumbhash", Value: facts.Thumbhash},
	} {
		old, there := has[m.Key]
		if m.Value == 0.0 || m.Value == "" || there && (!again || old == m.Value) {
			continue
		}
		missing = append(missing, m)
	}
	if len(missing) == 0 {
		return
	}
	switch file := v.(type) {
	case ydoc.Type:
		for _, m := range missing {
			file.AsMap().Set(m.Key, m.Value)
		}
	case ydoc.Object: // a client's own way of saying it: it can only be replaced
		whole := ydoc.Object{}
		for _, m := range file {
			if !hasKey(missing, m.Key) {
				whole = append(whole, m)
			}
		}
		about.Set("file", append(whole, missing...))
	}
}

func hasKey(o ydoc.Object, key string) bool {
	for _, m := range o {
		if m.Key == key {
			return true
		}
	}
	return false
}
