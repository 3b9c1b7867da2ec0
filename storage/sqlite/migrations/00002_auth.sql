-- +goose Up

-- One account for each public key. Times are Unix ms, 0: never.
CREATE TABLE accounts (
	id           TEXT PRIMARY KEY,
	public_key   BLOB NOT NULL UNIQUE,
	email        TEXT NOT NULL,
	name         TEXT NOT NULL,
	status       TEXT NOT NULL CHECK (status IN ('pending', 'active', 'blocked')),
	is_admin     INTEGER NOT NULL,
	created_at   INTEGER NOT NULL,
	last_seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX accounts_pending ON accounts (id) WHERE status = 'pending';
CREATE INDEX accounts_admin ON accounts (id) WHERE is_admin = 1;

-- A session that is revoked is deleted. Of its tokens there are only SHA-256.
CREATE TABLE sessions (
	id                  TEXT PRIMARY KEY,
	account             TEXT NOT NULL REFERENCES accounts (id),
	device_name         TEXT NOT NULL,
	ip                  TEXT NOT NULL,
	created_at          INTEGER NOT NULL,
	last_seen_at        INTEGER NOT NULL,
	generation          INTEGER NOT NULL,
	access              BLOB NOT NULL,
	access_expires      INTEGER NOT NULL,
	refresh             BLOB NOT NULL,
	refresh_expires     INTEGER NOT NULL,
	last_access         BLOB NOT NULL,
	last_access_expires INTEGER NOT NULL,
	last_refresh        BLOB NOT NULL,
	rotated_at          INTEGER NOT NULL,
	pair_used           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_account ON sessions (account);

-- The SHA-256 of the claim code that makes the first admin.
CREATE TABLE claim (
	id   INTEGER PRIMARY KEY CHECK (id = 1),
	hash BLOB NOT NULL
) STRICT;

CREATE TABLE settings (
	name  TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Append-only, but for the oldest rows, which have had their time.
CREATE TABLE audit (
	id         INTEGER PRIMARY KEY,
	at         INTEGER NOT NULL,
	kind       TEXT NOT NULL,
	actor      TEXT NOT NULL,
	account    TEXT NOT NULL,
	public_key TEXT NOT NULL,
	session    TEXT NOT NULL,
	ip         TEXT NOT NULL,
	detail     TEXT NOT NULL
) STRICT;
