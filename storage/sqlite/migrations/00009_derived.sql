-- +goose Up

-- Files of which pictures are made, by their hash: blocks that have the same one share
-- them. A row comes with the first block that has the file and goes with its bytes. tries
-- counts how often the work was begun and did not end. engine is what made what is here.
CREATE TABLE sources (
	hash   BLOB PRIMARY KEY,
	size   INTEGER NOT NULL,
	user   TEXT NOT NULL,
	status TEXT NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'running', 'ready', 'failed')),
	facts  TEXT NOT NULL DEFAULT '',
	code   TEXT NOT NULL DEFAULT '',
	reason TEXT NOT NULL DEFAULT '',
	tries  INTEGER NOT NULL DEFAULT 0,
	engine TEXT NOT NULL DEFAULT '',
	at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sources_queued ON sources (user, at) WHERE status = 'queued';

-- Pictures, and why there are none. block 0 is the server's work, and else a picture that
-- a client made, for this block only. asked is the encoding that was asked for.
CREATE TABLE derived (
	hash     BLOB NOT NULL REFERENCES sources (hash) ON DELETE CASCADE,
	block    INTEGER NOT NULL DEFAULT 0,
	kind     TEXT NOT NULL,
	size     INTEGER NOT NULL,
	position INTEGER NOT NULL,
	asked    TEXT NOT NULL,
	status   TEXT NOT NULL CHECK (status IN ('running', 'ready', 'failed')),
	blob     BLOB,
	mime     TEXT NOT NULL DEFAULT '',
	bytes    INTEGER NOT NULL DEFAULT 0,
	width    INTEGER NOT NULL DEFAULT 0,
	height   INTEGER NOT NULL DEFAULT 0,
	user     TEXT NOT NULL DEFAULT '',
	code     TEXT NOT NULL DEFAULT '',
	reason   TEXT NOT NULL DEFAULT '',
	tries    INTEGER NOT NULL DEFAULT 0,
	engine   TEXT NOT NULL DEFAULT '',
	at       INTEGER NOT NULL,
	PRIMARY KEY (hash, block, kind, size, position, asked)
) STRICT, WITHOUT ROWID;
CREATE INDEX derived_by_blob ON derived (blob) WHERE blob IS NOT NULL;

-- Whether the block's document says what was found out about its file: 0 not yet, 1 yes,
-- 2 it is to be said again.
ALTER TABLE files ADD COLUMN described INTEGER NOT NULL DEFAULT 0;
CREATE INDEX files_undescribed ON files (hash) WHERE described <> 1 AND dropped_at = 0;

INSERT INTO sources (hash, size, user, at) SELECT hash, size, max(user), min(at) FROM files GROUP BY hash;

-- +goose StatementBegin
CREATE TRIGGER files_sourced AFTER INSERT ON files BEGIN
	INSERT INTO sources (hash, size, user, at) VALUES (new.hash, new.size, new.user, new.at) ON CONFLICT DO NOTHING;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER files_unpictured AFTER DELETE ON files BEGIN
	DELETE FROM derived WHERE hash = old.hash AND block = old.block;
END;
-- +goose StatementEnd

-- What clients bring counts as theirs; what the server makes does not.
-- +goose StatementBegin
CREATE TRIGGER derived_added AFTER INSERT ON derived WHEN new.block <> 0 BEGIN
	INSERT INTO file_usage (kind, who, bytes, files)
		VALUES ('user', new.user, new.bytes, 0), ('heap', (SELECT heap FROM blocks WHERE ref = new.block), new.bytes, 0)
		ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes;
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER derived_removed AFTER DELETE ON derived WHEN old.block <> 0 BEGIN
	UPDATE file_usage SET bytes = bytes - old.bytes
		WHERE (kind, who) IN (VALUES ('user', old.user), ('heap', CAST((SELECT heap FROM blocks WHERE ref = old.block) AS TEXT)));
	DELETE FROM file_usage WHERE bytes = 0 AND files = 0
		AND (kind, who) IN (VALUES ('user', old.user), ('heap', CAST((SELECT heap FROM blocks WHERE ref = old.block) AS TEXT)));
END;
-- +goose StatementEnd
