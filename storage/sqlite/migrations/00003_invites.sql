-- +goose Up

-- code is a SHA-256: whoever reads the database can use no invitation. An empty
-- public_key is anybody's, and max_uses 0 any number.
CREATE TABLE invites (
	id         TEXT PRIMARY KEY,
	code       BLOB NOT NULL UNIQUE,
	heap       INTEGER NOT NULL REFERENCES heaps (id),
	role       INTEGER NOT NULL,
	public_key TEXT NOT NULL,
	by_user    TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	max_uses   INTEGER NOT NULL,
	uses       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invites_by_heap ON invites (heap, created_at);
