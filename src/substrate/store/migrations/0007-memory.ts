import type { Migration } from './migration.ts';

/**
 * What is remembered, by space, with its full-text index.
 *
 * A memory's row number is its space's number times 2^32 plus its place there, so a space is one range
 * of rows in the table and in the index alike. The index has a copy of what went in, by which it takes it
 * out again, whatever became of the row since; that is overwritten at once (sqlite.org/fts5.html,
 * "secure-delete"). `text` stands last: what looks at the
 * other columns does not read its pages.
 */
export const memory: Migration = {
  version: 7,
  name: 'memory',
  sql: `
    CREATE TABLE substrate_memory_spaces (
      id      INTEGER PRIMARY KEY,
      name    TEXT NOT NULL UNIQUE,
      next_nr INTEGER NOT NULL,
      records INTEGER NOT NULL
    ) STRICT;

    CREATE TABLE substrate_memory_threads (
      id         INTEGER PRIMARY KEY,
      space      INTEGER NOT NULL,
      name       TEXT NOT NULL,
      next_place INTEGER NOT NULL,
      written_at INTEGER NOT NULL,
      UNIQUE (space, name)
    ) STRICT;

    CREATE TABLE substrate_memory_writers (
      writer  TEXT PRIMARY KEY,
      records INTEGER NOT NULL,
      bytes   INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE substrate_memories (
      nr            INTEGER PRIMARY KEY,
      thread        INTEGER NOT NULL,
      place         INTEGER NOT NULL,
      at            INTEGER NOT NULL,
      written_at    INTEGER NOT NULL,
      receipt       INTEGER NOT NULL,
      forgotten_at  INTEGER,
      supersedes    INTEGER,
      superseded_by INTEGER,
      writer        TEXT NOT NULL,
      writer_name   TEXT NOT NULL,
      kind          TEXT NOT NULL,
      subject       TEXT NOT NULL,
      source        TEXT NOT NULL,
      key           TEXT,
      hash          TEXT NOT NULL,
      salt          BLOB NOT NULL,
      text          TEXT NOT NULL
    ) STRICT;
    CREATE INDEX substrate_memories_thread ON substrate_memories (thread, place);
    CREATE UNIQUE INDEX substrate_memories_key ON substrate_memories (writer, key) WHERE key IS NOT NULL;
    CREATE INDEX substrate_memories_forgotten ON substrate_memories (forgotten_at) WHERE forgotten_at IS NOT NULL;

    CREATE VIRTUAL TABLE substrate_memory_index USING fts5(
      text, subject, day,
      tokenize = "porter unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
    );
    INSERT INTO substrate_memory_index (substrate_memory_index, rank) VALUES ('secure-delete', 1);
  `,
};
