-- +goose Up

-- Uploads that come from front to back, as of tus: 1 is a file, 2 a part of one. Until it is
-- whole, nobody knows the hash of such a one, and hash is a name that the server made.
ALTER TABLE uploads ADD COLUMN serial INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE uploads ADD COLUMN want BLOB;

-- The name of the serial upload that a file came by; none: it came otherwise.
ALTER TABLE files ADD COLUMN upload BLOB NOT NULL DEFAULT x'';
CREATE INDEX files_by_upload ON files (upload) WHERE upload > x'';

-- A name is none of a blob.
DROP TRIGGER uploads_ended;
-- +goose StatementBegin
CREATE TRIGGER uploads_ended AFTER DELETE ON uploads WHEN old.serial = 0 BEGIN
	INSERT INTO blobs (hash, size, at) VALUES (old.hash, old.size, old.last_at) ON CONFLICT DO NOTHING;
END;
-- +goose StatementEnd
