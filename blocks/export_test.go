package blocks

import "context"

// ExpireHeld does at once what is done every hour.
func (l *Log) ExpireHeld(ctx context.Context) { l.folder.expireHeld(ctx) }

// FoldParts and HoldsExactly are foldParts and holdsExactly.
var (
	FoldParts    = foldParts
	HoldsExactly = holdsExactly
	ErrNotEqual  = errNotEqual
)

// OnRead calls fn before a document is read into the index, until undo is called.
func OnRead(fn func(BlockKey)) (undo func()) {
	beforeRead.Store(&fn)
	return func() { beforeRead.Store(nil) }
}

// LimitDirty sets how many blocks may wait to be read.
func (in *Instance) LimitDirty(n int) {
	in.projector.mu.Lock()
	defer in.projector.mu.Unlock()
	in.projector.room = n
}

// WordsOf returns the words of a text, folded, and their places.
func WordsOf(s string) (words []string, places [][2]int) {
	eachWord(s, func(from, to int, word []byte) bool {
		words = append(words, string(word))
		places = append(places, [2]int{from, to})
		return true
	})
	return words, places
}

// Excerpt and RangesOf are what searches show of a text and of a title.
func Excerpt(text string, q Query) (string, []Range) { return excerpt(text, q.Terms) }
func RangesOf(text string, q Query) []Range          { return rangesOf(text, q.Terms) }

// GroupSync is groupSync.
type GroupSync struct{ groupSync }

// Sync is sync.
func (g *GroupSync) Sync(file interface{ Sync() error }) error { return g.sync(file) }
