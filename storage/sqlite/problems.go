package sqlite

import (
	"context"
	"fmt"

	"github.com/heapsync/heapsync/blocks"
)

// Quarantined implements [blocks.Snapshots].
func (s *Store) Quarantined(ctx context.Context, limit int) (list []blocks.QuarantinedBlock, err error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT heaps.heap, b.block, b.quarantine
		FROM blocks b INDEXED BY blocks_quarantined JOIN heaps ON heaps.id = b.heap WHERE b.quarantine <> '' ORDER BY b.ref LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("quarantined blocks: %w", readError(err))
	}
	defer rows.Close()
	for rows.Next() {
		var q blocks.QuarantinedBlock
		if err := rows.Scan(&q.Key.Heap, &q.Key.Block, &q.Reason); err != nil {
			return nil, fmt.Errorf("quarantined blocks: %w", readError(err))
		}
		list = append(list, q)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("quarantined blocks: %w", readError(err))
	}
	return list, nil
}

// FailedSources implements [blocks.Sources].
func (s *Store) FailedSources(ctx context.Context, limit int) (list []blocks.FailedSource, err error) {
	rows, err := s.readers.QueryContext(ctx, `SELECT s.hash, s.size, s.code, s.reason, s.at, heaps.heap, b.block, f.name, f.mime, f.user, f.at, f.placed
		FROM sources s INDEXED BY sources_failed
		JOIN files f ON f.hash = s.hash AND f.dropped_at = 0
			AND f.block = (SELECT min(block) FROM files WHERE hash = s.hash AND dropped_at = 0)
		JOIN blocks b ON b.ref = f.block JOIN heaps ON heaps.id = b.heap
		WHERE s.status = 'failed' AND s.code <> 'unsupported' ORDER BY s.at DESC, s.hash LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("failed sources: %w", readError(err))
	}
	defer rows.Close()
	for rows.Next() {
		var f blocks.FailedSource
		var hash []byte
		if err := rows.Scan(&hash, &f.File.Size, &f.Code, &f.Reason, &f.At, &f.File.Key.Heap, &f.File.Key.Block,
			&f.File.Name, &f.File.Mime, &f.File.User, &f.File.At, &f.File.Placed); err != nil {
			return nil, fmt.Errorf("failed sources: %w", readError(err))
		}
		copy(f.Hash[:], hash)
		f.File.Hash = f.Hash
		list = append(list, f)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("failed sources: %w", readError(err))
	}
	return list, nil
}
