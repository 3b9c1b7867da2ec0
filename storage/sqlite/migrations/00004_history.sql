-- +goose Up

-- Updates of a block that were folded into one, those with a seq in
-- (after_seq, to_seq]: a block's log is its windows, oldest first, and then its rows
-- in updates. size is what the updates had, authors (actor, count) as varints, and
-- bytes zstd.
CREATE TABLE history (
	id        INTEGER PRIMARY KEY,
	block     INTEGER NOT NULL REFERENCES blocks (ref),
	after_seq INTEGER NOT NULL,
	to_seq    INTEGER NOT NULL,
	first_at  INTEGER NOT NULL,
	last_at   INTEGER NOT NULL,
	updates   INTEGER NOT NULL,
	size      INTEGER NOT NULL,
	level     INTEGER NOT NULL,
	crc       INTEGER NOT NULL,
	authors   BLOB NOT NULL,
	bytes     BLOB NOT NULL,
	UNIQUE (block, to_seq)
) STRICT;
CREATE INDEX history_due ON history (level, last_at);

-- Moments that somebody gave a name to.
CREATE TABLE versions (
	id    TEXT PRIMARY KEY,
	block INTEGER NOT NULL REFERENCES blocks (ref),
	seq   INTEGER NOT NULL,
	at    INTEGER NOT NULL,
	actor INTEGER NOT NULL REFERENCES actors (id),
	name  TEXT NOT NULL,
	crc   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX versions_by_block ON versions (block, seq);

-- updates counts the seqs that a block ever took, raw its rows in updates.
ALTER TABLE blocks ADD COLUMN updates INTEGER NOT NULL DEFAULT 0;
ALTER TABLE blocks ADD COLUMN raw INTEGER NOT NULL DEFAULT 0;
UPDATE blocks SET updates = rows.n, raw = rows.n
	FROM (SELECT block, count(*) AS n FROM updates GROUP BY block) AS rows WHERE blocks.ref = rows.block;

-- Stored bytes of snapshots and of windows, and the size of what the windows replaced.
ALTER TABLE heaps ADD COLUMN state_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE heaps ADD COLUMN history_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE heaps ADD COLUMN folded_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE heaps SET state_bytes = sums.n
	FROM (SELECT blocks.heap AS heap, sum(length(state)) AS n FROM snapshots JOIN blocks ON blocks.ref = snapshots.block
		GROUP BY blocks.heap) AS sums WHERE heaps.id = sums.heap;

-- The seqs of blocks of which not even a head is left.
ALTER TABLE clock ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
