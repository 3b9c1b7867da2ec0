-- All of it is read out of documents and heads and can be read again: a file whose
-- user_version is another is dropped. There are no migrations.

CREATE TABLE progress (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	through INTEGER NOT NULL,
	counted INTEGER NOT NULL
) STRICT;
INSERT INTO progress (id, through, counted) VALUES (1, 0, 0);

-- A heap with sums over its blocks.
CREATE TABLE heaps (
	id         INTEGER PRIMARY KEY,
	heap       TEXT NOT NULL UNIQUE,
	blocks     INTEGER NOT NULL DEFAULT 0,
	bytes      INTEGER NOT NULL DEFAULT 0,
	updates    INTEGER NOT NULL DEFAULT 0,
	files      INTEGER NOT NULL DEFAULT 0,
	file_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE days (
	heap    INTEGER NOT NULL REFERENCES heaps (id),
	day     INTEGER NOT NULL,
	updates INTEGER NOT NULL,
	PRIMARY KEY (heap, day)
) STRICT, WITHOUT ROWID;

-- What a list can be narrowed to: type '' is any, and so is parent '*'; parent '' is
-- none. Each block is in four of them, and a list of any is a range of an index.
CREATE TABLE scopes (
	id      INTEGER PRIMARY KEY,
	heap    INTEGER NOT NULL REFERENCES heaps (id),
	trashed INTEGER NOT NULL,
	parent  TEXT NOT NULL,
	type    TEXT NOT NULL,
	blocks  INTEGER NOT NULL,
	UNIQUE (heap, trashed, parent, type)
) STRICT;

-- sort_title is the folded title. text is the row of texts, and 0 if there is none yet.
CREATE TABLE blocks (
	id           INTEGER PRIMARY KEY,
	heap         INTEGER NOT NULL REFERENCES heaps (id),
	block        TEXT NOT NULL,
	seq          INTEGER NOT NULL,
	type         TEXT NOT NULL,
	title        TEXT NOT NULL,
	sort_title   TEXT NOT NULL,
	parent       TEXT NOT NULL,
	snippet      TEXT NOT NULL,
	apps         TEXT,
	file         TEXT,
	file_bytes   INTEGER NOT NULL,
	created_at   INTEGER NOT NULL,
	trashed_at   INTEGER NOT NULL,
	sync_version INTEGER NOT NULL,
	size         INTEGER NOT NULL,
	updates      INTEGER NOT NULL,
	updated_at   INTEGER NOT NULL,
	unread       TEXT NOT NULL,
	text         INTEGER NOT NULL,
	text_sum     INTEGER NOT NULL,
	in_heap      INTEGER NOT NULL REFERENCES scopes (id),
	in_type      INTEGER NOT NULL REFERENCES scopes (id),
	in_parent    INTEGER NOT NULL REFERENCES scopes (id),
	in_both      INTEGER NOT NULL REFERENCES scopes (id),
	UNIQUE (heap, block)
) STRICT;
CREATE INDEX blocks_text ON blocks (text);
CREATE INDEX heap_updated ON blocks (in_heap, updated_at);
CREATE INDEX heap_created ON blocks (in_heap, created_at);
CREATE INDEX heap_title ON blocks (in_heap, sort_title);
CREATE INDEX heap_size ON blocks (in_heap, size);
CREATE INDEX type_updated ON blocks (in_type, updated_at);
CREATE INDEX type_created ON blocks (in_type, created_at);
CREATE INDEX type_title ON blocks (in_type, sort_title);
CREATE INDEX type_size ON blocks (in_type, size);
CREATE INDEX parent_updated ON blocks (in_parent, updated_at);
CREATE INDEX parent_created ON blocks (in_parent, created_at);
CREATE INDEX parent_title ON blocks (in_parent, sort_title);
CREATE INDEX parent_size ON blocks (in_parent, size);
CREATE INDEX both_updated ON blocks (in_both, updated_at);
CREATE INDEX both_created ON blocks (in_both, created_at);
CREATE INDEX both_title ON blocks (in_both, sort_title);
CREATE INDEX both_size ON blocks (in_both, size);

CREATE TABLE relations (
	block    INTEGER NOT NULL REFERENCES blocks (id),
	relation TEXT NOT NULL,
	kind     TEXT NOT NULL,
	heap     INTEGER NOT NULL,
	target   TEXT NOT NULL,
	PRIMARY KEY (block, relation)
) STRICT, WITHOUT ROWID;
CREATE INDEX relations_to ON relations (heap, target);

-- A text that changes gets a new, higher id, so that the last ones are the newest. sample
-- is what ranking looks at: folded words of the title, a line feed, those of the text.
CREATE TABLE texts (
	id     INTEGER PRIMARY KEY AUTOINCREMENT,
	words  INTEGER NOT NULL,
	sample TEXT NOT NULL,
	body   TEXT NOT NULL
) STRICT;

-- The words are folded before they come here, so the tokenizer has only to split them at
-- spaces. scope holds s1 for scope 1, of each scope that the block is in.
CREATE VIRTUAL TABLE words USING fts5 (
	title, body, scope,
	content = '', contentless_delete = 1, tokenize = 'ascii', prefix = '1 2 3'
);
