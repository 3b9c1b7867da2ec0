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
