-- +goose Up

-- A file in place lies where a scan found it: the store of blobs need not have its bytes,
-- and they count against no quota.
ALTER TABLE files ADD COLUMN placed INTEGER NOT NULL DEFAULT 0;

DROP TRIGGER files_added;
DROP TRIGGER files_removed;
-- +goose StatementBegin
CREATE TRIGGER files_added AFTER INSERT ON files WHEN new.placed = 0 BEGIN
	INSERT INTO file_usage (kind, who, bytes, files) VALUES ('user', new.user, new.size, 1), ('heap', new.heap, new.size, 1)
		ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes, files = files + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER files_stored AFTER UPDATE OF placed ON files WHEN old.placed = 1 AND new.placed = 0 BEGIN
	INSERT INTO file_usage (kind, who, bytes, files) VALUES ('user', new.user, new.size, 1), ('heap', new.heap, new.size, 1)
		ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes, files = files + 1;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER files_removed AFTER DELETE ON files WHEN old.placed = 0 BEGIN
	UPDATE file_usage SET bytes = bytes - old.size, files = files - 1
		WHERE (kind, who) IN (VALUES ('user', old.user), ('heap', CAST(old.heap AS TEXT)));
	DELETE FROM file_usage WHERE (kind, who) IN (VALUES ('user', old.user), ('heap', CAST(old.heap AS TEXT))) AND bytes = 0 AND files = 0;
END;
-- +goose StatementEnd

-- Folders that are scanned into a heap, again and again. Paths are bytes.
CREATE TABLE scan_folders (
	id        INTEGER PRIMARY KEY,
	heap      INTEGER NOT NULL REFERENCES heaps (id),
	path      BLOB NOT NULL,
	recursive INTEGER NOT NULL,
	watch     INTEGER NOT NULL,
	user      TEXT NOT NULL,
	session   TEXT NOT NULL,
	last_at   INTEGER NOT NULL DEFAULT 0,
	UNIQUE (heap, path)
) STRICT;

-- Scans that are not over, and the last one of each folder. A scan's number is greater than
-- those of all before it.
CREATE TABLE scans (
	number     INTEGER PRIMARY KEY AUTOINCREMENT,
	id         TEXT NOT NULL UNIQUE,
	folder     INTEGER NOT NULL REFERENCES scan_folders (id) ON DELETE CASCADE,
	status     TEXT NOT NULL,
	confirm    INTEGER NOT NULL,
	user       TEXT NOT NULL,
	started_at INTEGER NOT NULL,
	ended_at   INTEGER NOT NULL DEFAULT 0,
	counts     TEXT NOT NULL DEFAULT '{}',
	error      TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX scans_by_folder ON scans (folder);

-- What scans found, and the blocks that stand for it. seen is the number of the scan that
-- found it last.
CREATE TABLE scanned (
	heap     INTEGER NOT NULL REFERENCES heaps (id),
	path     BLOB NOT NULL,
	folder   INTEGER NOT NULL,
	block    TEXT NOT NULL,
	parent   TEXT NOT NULL,
	size     INTEGER NOT NULL,
	mtime_ns INTEGER NOT NULL,
	dev      INTEGER NOT NULL,
	inode    INTEGER NOT NULL,
	hash     BLOB,
	state    TEXT NOT NULL CHECK (state IN ('present', 'offline', 'vanished')),
	trashed  INTEGER NOT NULL DEFAULT 0,
	seen     INTEGER NOT NULL,
	PRIMARY KEY (heap, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX scanned_by_hash ON scanned (hash) WHERE hash IS NOT NULL;
CREATE INDEX scanned_by_inode ON scanned (heap, inode, dev);
CREATE UNIQUE INDEX scanned_by_block ON scanned (heap, block);
