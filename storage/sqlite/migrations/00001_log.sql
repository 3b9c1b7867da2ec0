-- +goose Up

-- The last seq and the last commit time that were given out.
CREATE TABLE clock (
	id  INTEGER PRIMARY KEY CHECK (id = 1),
	seq INTEGER NOT NULL,
	at  INTEGER NOT NULL
) STRICT;
INSERT INTO clock (id, seq, at) VALUES (1, 0, 0);

-- A user on a device, so that an update's row names both with one small number.
-- An owner of a client id is the user without a session.
CREATE TABLE actors (
	id      INTEGER PRIMARY KEY,
	user    TEXT NOT NULL,
	session TEXT NOT NULL,
	UNIQUE (user, session)
) STRICT;

CREATE TABLE heaps (
	id         INTEGER PRIMARY KEY,
	heap       TEXT NOT NULL UNIQUE,
	name       TEXT NOT NULL,
	owner      TEXT NOT NULL,
	encrypted  INTEGER NOT NULL,
	created_at INTEGER NOT NULL,
	updated_at INTEGER NOT NULL,
	deleted_at INTEGER NOT NULL
) STRICT;

CREATE TABLE members (
	heap  INTEGER NOT NULL REFERENCES heaps (id),
	user  TEXT NOT NULL,
	role  INTEGER NOT NULL,
	since INTEGER NOT NULL,
	PRIMARY KEY (heap, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user);

-- The heads. The unique index also finds a block by its bare id. crc covers what
-- a commit writes: see headSum.
CREATE TABLE blocks (
	ref          INTEGER PRIMARY KEY,
	heap         INTEGER NOT NULL REFERENCES heaps (id),
	block        TEXT NOT NULL,
	type         TEXT NOT NULL,
	seq          INTEGER NOT NULL,
	sync_version INTEGER NOT NULL,
	bytes        INTEGER NOT NULL,
	depth        INTEGER NOT NULL,
	items        INTEGER NOT NULL,
	branches     INTEGER NOT NULL,
	keyed        INTEGER NOT NULL,
	wide         INTEGER NOT NULL,
	snapshot_seq INTEGER NOT NULL DEFAULT 0,
	tail         INTEGER NOT NULL DEFAULT 0,
	tail_bytes   INTEGER NOT NULL DEFAULT 0,
	held         INTEGER NOT NULL DEFAULT 0,
	held_bytes   INTEGER NOT NULL DEFAULT 0,
	created_at   INTEGER NOT NULL,
	updated_at   INTEGER NOT NULL,
	trashed_at   INTEGER NOT NULL DEFAULT 0,
	deleted_at   INTEGER NOT NULL DEFAULT 0,
	quarantine   TEXT NOT NULL DEFAULT '',
	crc          INTEGER NOT NULL,
	state_vector BLOB NOT NULL,
	UNIQUE (block, heap)
) STRICT;
CREATE INDEX blocks_by_seq ON blocks (heap, seq);
CREATE INDEX blocks_deleted ON blocks (heap, seq) WHERE deleted_at > 0;

-- The log, append-only. prev is the block's update before this one, or 0: a tail
-- is read by walking back from the block's head. There is no second index and no
-- foreign key, for they would cost more than the append; the check command
-- verifies what a foreign key would.
CREATE TABLE updates (
	seq   INTEGER PRIMARY KEY,
	block INTEGER NOT NULL,
	prev  INTEGER NOT NULL,
	actor INTEGER NOT NULL,
	at    INTEGER NOT NULL,
	crc   INTEGER NOT NULL,
	bytes BLOB NOT NULL
) STRICT;

-- Whose a client id is within a block.
CREATE TABLE clients (
	block  INTEGER NOT NULL REFERENCES blocks (ref),
	client INTEGER NOT NULL,
	actor  INTEGER NOT NULL REFERENCES actors (id),
	PRIMARY KEY (block, client)
) STRICT, WITHOUT ROWID;

-- Updates that wait for others. An id is never used twice, so that a late release
-- cannot hit another one.
CREATE TABLE held (
	id    INTEGER PRIMARY KEY AUTOINCREMENT,
	block INTEGER NOT NULL REFERENCES blocks (ref),
	actor INTEGER NOT NULL REFERENCES actors (id),
	at    INTEGER NOT NULL,
	crc   INTEGER NOT NULL,
	bytes BLOB NOT NULL
) STRICT;
CREATE INDEX held_by_block ON held (block);
CREATE INDEX held_by_actor ON held (actor);

-- Derived: can be dropped and rebuilt from the log. state is zstd.
CREATE TABLE snapshots (
	block INTEGER PRIMARY KEY REFERENCES blocks (ref),
	seq   INTEGER NOT NULL,
	crc   INTEGER NOT NULL,
	state BLOB NOT NULL
) STRICT;
