package blocks

import "context"

// QuarantinedBlock is a block that is read-only because stored bytes of it cannot be read.
type QuarantinedBlock struct {
	Key    BlockKey
	Reason string
}

// FailedSource is a file of which no picture could be made, though there should be one.
type FailedSource struct {
	Hash Hash
	File File // one of those that have it
	Failure
	At int64 // when it failed, ms
}

// Problems is what went wrong with what is stored.
type Problems struct {
	Quarantined []QuarantinedBlock
	Pictures    []FailedSource // the latest first
}

// Problems returns at most limit of each kind.
func (in *Instance) Problems(ctx context.Context, limit int) (p Problems, err error) {
	if p.Quarantined, err = in.store.Quarantined(ctx, limit); err == nil {
		p.Pictures, err = in.store.FailedSources(ctx, limit)
	}
	return p, err
}
