import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'

/** One event as the table has it; `headers` is JSON. */
export interface EventRow {
  readonly id: string
  readonly type: string
  readonly time: string
  readonly key: string
  readonly topic: string
  readonly headers: string
  readonly data: string
}

export interface SqliteStoreOptions {
  readonly path: string
  /** Bytes that the events may take; the file may be a batch larger. */
  readonly maxBytes: number
  /** From the least to the most important: the oldest events of the first are pruned first. */
  readonly topics: readonly string[]
}

const LAYOUT_VERSION = 1
const BUSY_TIMEOUT_MS = 5_000
const WAL_BYTES_MAX = 8 * 1024 * 1024
const PRUNE_ROWS = 500
/** Pruning goes on to this share of `maxBytes`, so that not every batch prunes. */
const PRUNE_TO = 0.98

const LAYOUT = `
  CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    time TEXT NOT NULL,
    key TEXT NOT NULL,
    topic TEXT NOT NULL,
    headers TEXT NOT NULL,
    data TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS events_by_topic ON events (topic, time);
  PRAGMA user_version = ${LAYOUT_VERSION};
`
/** A double is dropped; a call that revises what was told before takes its place. */
const INSERT = `
  INSERT INTO events (id, type, time, key, topic, headers, data) VALUES (?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET time = excluded.time, headers = excluded.headers, data = excluded.data
  WHERE excluded.topic = topic AND excluded.data ->> '$.revises' IS TRUE
`
const PRUNE = `
  DELETE FROM events
  WHERE rowid IN (SELECT rowid FROM events WHERE topic = ? ORDER BY time LIMIT ${PRUNE_ROWS})
`

/** Events in one SQLite file. Synchronous: it lives on a worker. */
export class SqliteStore {
  readonly #options: SqliteStoreOptions
  readonly #database: DatabaseSync
  readonly #insert: StatementSync
  readonly #prune: StatementSync

  /** @throws {Error} of the file system or of SQLite. */
  constructor(options: SqliteStoreOptions) {
    this.#options = options
    mkdirSync(dirname(options.path), { recursive: true })
    this.#database = new DatabaseSync(options.path, { timeout: BUSY_TIMEOUT_MS })
    try {
      this.#prepareFile()
      this.#insert = this.#database.prepare(INSERT)
      this.#prune = this.#database.prepare(PRUNE)
    } catch (error) {
      this.#database.close()
      throw error
    }
  }

  /** Stores all rows or none, then prunes; returns how many events that cost. */
  write(rows: readonly EventRow[]): number {
    this.#database.exec('BEGIN IMMEDIATE')
    let pruned = 0
    try {
      for (const { id, type, time, key, topic, headers, data } of rows) {
        this.#insert.run(id, type, time, key, topic, headers, data)
      }
      if (this.#usedBytes() > this.#options.maxBytes) pruned = this.#pruneOldest()
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw error
    }
    if (pruned > 0 && this.#fileBytes() > this.#options.maxBytes) {
      this.#database.exec('PRAGMA incremental_vacuum')
    }
    return pruned
  }

  close(): void {
    this.#database.close()
  }

  #prepareFile(): void {
    this.#database.exec(`
      PRAGMA auto_vacuum = INCREMENTAL;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA journal_size_limit = ${WAL_BYTES_MAX};
    `)
    if (this.#pragma('user_version') > LAYOUT_VERSION) {
      throw new Error(`${this.#options.path} was written by a newer version`)
    }
    this.#database.exec(LAYOUT)
  }

  #pruneOldest(): number {
    let pruned = 0
    for (const topic of this.#options.topics) {
      for (;;) {
        if (this.#usedBytes() <= this.#options.maxBytes * PRUNE_TO) return pruned
        const { changes } = this.#prune.run(topic)
        if (changes === 0) break
        pruned += Number(changes)
      }
    }
    return pruned
  }

  #usedBytes(): number {
    return (this.#pragma('page_count') - this.#pragma('freelist_count')) * this.#pragma('page_size')
  }

  #fileBytes(): number {
    return this.#pragma('page_count') * this.#pragma('page_size')
  }

  #pragma(name: 'user_version' | 'page_count' | 'freelist_count' | 'page_size'): number {
    return Number(this.#database.prepare(`PRAGMA ${name}`).get()?.[name])
  }
}
