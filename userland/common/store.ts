/**
 * The store: what must survive a restart of this machine, in SQLite under the state directory.
 *
 * Durable before it is used: write-ahead log with synchronous=FULL. It holds keys, hence the folder is
 * 0700 and the file 0600. The schema's version is PRAGMA user_version; migrations only ever get longer.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { messageOf, ntsError } from './errors.js';
import { stateDir } from './paths.js';

const migrations: readonly string[] = [
  `CREATE TABLE oneip_configuration (
     id INTEGER PRIMARY KEY CHECK (id = 1),
     configuration BLOB NOT NULL, -- ONEIP_CONFIG with its arrays, key and table
     names TEXT NOT NULL,         -- JSON: names of the members by node id
     source TEXT NOT NULL,        -- the cluster file
     applied_at TEXT NOT NULL
   ) STRICT;
   CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;`,
  // A folder may have held a node of another cluster before: every row says of which it is.
  `CREATE TABLE cluster_membership (
     cluster TEXT PRIMARY KEY, -- SHA-256 of the CA's certificate
     documents TEXT NOT NULL   -- JSON: the signed documents
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE join_token (
     id BLOB PRIMARY KEY,      -- a hash of the secret
     verifier BLOB NOT NULL,   -- another
     cluster TEXT NOT NULL,
     expires_at INTEGER NOT NULL, -- milliseconds since 1970
     used_by BLOB,             -- public key of the node that it admitted
     name TEXT,
     certificate TEXT          -- what that node got, for when it did not hear the answer
   ) STRICT, WITHOUT ROWID;`,
];

/** Another process of ours holds the lock for as long as an IOCTL takes. */
const BUSY_MILLISECONDS = 10_000;

export class Store {
  private constructor(
    readonly file: string,
    private readonly database: Database.Database,
  ) {}

  static open(folder: string = stateDir()): Store {
    const file = path.join(folder, 'ntswift.db');
    let database;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      // SQLite gives its other files the mode of this one.
      closeSync(openSync(file, 'a', 0o600));
      database = new Database(file, { timeout: BUSY_MILLISECONDS });
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
      migrate(database, file);
      return new Store(file, database);
    } catch (error) {
      database?.close();
      throw storeError(file, error);
    }
  }

  close(): void {
    this.database.close();
  }

  /**
   * Runs `work` while no other process can write, and commits when it has succeeded: what the driver was
   * told and what is stored stay the same.
   */
  async exclusively<T>(work: () => T | Promise<T>): Promise<T> {
    this.run(() => this.database.exec('BEGIN IMMEDIATE'));
    try {
      const result = await work();
      this.run(() => this.database.exec('COMMIT'));
      return result;
    } finally {
      if (this.database.inTransaction) this.database.exec('ROLLBACK');
    }
  }

  /** As exclusively, for work that does not wait; within such work it is part of that. */
  transaction<T>(work: () => T): T {
    if (this.database.inTransaction) return work();
    this.run(() => this.database.exec('BEGIN IMMEDIATE'));
    try {
      const result = work();
      this.run(() => this.database.exec('COMMIT'));
      return result;
    } catch (error) {
      this.rollBack();
      throw error;
    }
  }

  private rollBack(): void {
    if (this.database.inTransaction) this.database.exec('ROLLBACK');
  }

  /** The first row, by its columns. */
  get(sql: string, ...parameters: unknown[]): Record<string, unknown> | null {
    const row = this.run(() => this.database.prepare(sql).get(...parameters));
    return (row as Record<string, unknown> | undefined) ?? null;
  }

  execute(sql: string, ...parameters: unknown[]): void {
    this.run(() => this.database.prepare(sql).run(...parameters));
  }

  private run<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw storeError(this.file, error);
    }
  }
}

function migrate(database: Database.Database, file: string): void {
  const version = (): number => database.pragma('user_version', { simple: true }) as number;
  if (version() === migrations.length) return;
  database
    .transaction(() => {
      if (version() > migrations.length) {
        throw new Error(`${path.basename(file)} was written by a newer ntswift; update this one`);
      }
      for (let next = version(); next < migrations.length; next++) {
        database.exec(migrations[next]!);
        database.pragma(`user_version = ${next + 1}`);
      }
    })
    .immediate();
}

function storeError(file: string, error: unknown): Error {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') {
    return ntsError('NTS_ERR_ACCESS_DENIED', { what: file }, { cause: error });
  }
  return ntsError('NTS_ERR_STORE', { file, why: messageOf(error) }, { cause: error });
}
