-- +goose Up

-- What the store of blobs has, as far as it was ever a block's. marked_at says since when
-- nothing refers to a blob, as far as that was noticed; 0: something does.
CREATE TABLE blobs (
	hash      BLOB PRIMARY KEY,
	size      INTEGER NOT NULL,
	at        INTEGER NOT NULL,
	marked_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_marked ON blobs (marked_at) WHERE marked_at > 0;

-- Which blobs are a block's, and only those are served for it: that its document names a
-- hash proves nothing. The one that is not dropped is its file now.
CREATE TABLE files (
	block      INTEGER NOT NULL REFERENCES blocks (ref),
	hash       BLOB NOT NULL REFERENCES blobs (hash),
	heap       INTEGER NOT NULL REFERENCES heaps (id),
	size       INTEGER NOT NULL,
	name       TEXT NOT NULL,
	mime       TEXT NOT NULL,
	user       TEXT NOT NULL,
	at         INTEGER NOT NULL,
	dropped_at INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (block, hash)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX files_current ON files (block) WHERE dropped_at = 0;
CREATE INDEX files_by_hash ON files (hash, heap);
CREATE INDEX files_dropped ON files (dropped_at) WHERE dropped_at > 0;

-- Files on their way. The block need not exist yet. hash_state is SHA-256's after hashed
-- bytes of the staged file.
CREATE TABLE uploads (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	heap       INTEGER NOT NULL REFERENCES heaps (id),
	block      TEXT NOT NULL,
	hash       BLOB NOT NULL,
	size       INTEGER NOT NULL,
	name       TEXT NOT NULL,
	mime       TEXT NOT NULL,
	chunk_size INTEGER NOT NULL,
	hashed     INTEGER NOT NULL DEFAULT 0,
	hash_state BLOB NOT NULL DEFAULT x'',
	user       TEXT NOT NULL,
	at         INTEGER NOT NULL,
	last_at    INTEGER NOT NULL,
	UNIQUE (heap, block, hash)
) STRICT;
CREATE INDEX uploads_idle ON uploads (last_at);
CREATE INDEX uploads_by_hash ON uploads (hash);
CREATE INDEX uploads_by_block ON uploads (block);

-- The chunks of an upload that are on disk.
CREATE TABLE chunks (
	upload INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
	chunk  INTEGER NOT NULL,
	PRIMARY KEY (upload, chunk)
) STRICT, WITHOUT ROWID;

-- Bytes of files and uploads, by user and by heap (its id as text), so that a quota costs
-- one row to check. Only the triggers below write it.
CREATE TABLE file_usage (
	kind  TEXT NOT NULL CHECK (kind IN ('user', 'heap')),
	who   TEXT NOT NULL,
	bytes INTEGER NOT NULL,
	files INTEGER NOT NULL,
	PRIMARY KEY (kind, who)
) STRICT, WITHOUT ROWID;

-- +goose StatementBegin
CREATE TRIGGER files_added AFTER INSERT ON files BEGIN
	INSERT INTO file_usage (kind, who, bytes, files) VALUES ('user', new.user, new.size, 1), ('heap', new.heap, new.size, 1)
		ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes, files = files + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER files_removed AFTER DELETE ON files BEGIN
	UPDATE file_usage SET bytes = bytes - old.size, files = files - 1
		WHERE (kind, who) IN (VALUES ('user', old.user), ('heap', CAST(old.heap AS TEXT)));
	DELETE FROM file_usage WHERE (kind, who) IN (VALUES ('user', old.user), ('heap', CAST(old.heap AS TEXT))) AND bytes = 0 AND files = 0;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER uploads_added AFTER INSERT ON uploads BEGIN
	INSERT INTO file_usage (kind, who, bytes, files) VALUES ('user', new.user, new.size, 1), ('heap', new.heap, new.size, 1)
		ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes, files = files + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER uploads_removed AFTER DELETE ON uploads BEGIN
	UPDATE file_usage SET bytes = bytes - old.size, files = files - 1
		WHERE (kind, who) IN (VALUES ('user', old.user), ('heap', CAST(old.heap AS TEXT)));
	DELETE FROM file_usage WHERE (kind, who) IN (VALUES ('user', old.user), ('heap', CAST(old.heap AS TEXT))) AND bytes = 0 AND files = 0;
END;
-- +goose StatementEnd
