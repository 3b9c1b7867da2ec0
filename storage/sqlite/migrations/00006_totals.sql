-- +goose Up

-- Blocks that have a seq, and those of them that are tombstones.
ALTER TABLE heaps ADD COLUMN listed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE heaps ADD COLUMN tombstones INTEGER NOT NULL DEFAULT 0;
UPDATE heaps SET listed = sums.listed, tombstones = sums.tombstones
	FROM (SELECT heap, sum(seq > 0) AS listed, sum(deleted_at > 0) AS tombstones FROM blocks GROUP BY heap) AS sums
	WHERE heaps.id = sums.heap;
