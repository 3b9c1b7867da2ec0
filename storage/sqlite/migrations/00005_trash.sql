-- +goose Up

CREATE INDEX blocks_trashed ON blocks (heap, trashed_at) WHERE trashed_at > 0 AND deleted_at = 0;

-- When nothing will be left of a deleted heap, 0: it is not deleted.
ALTER TABLE heaps ADD COLUMN purge_at INTEGER NOT NULL DEFAULT 0;
