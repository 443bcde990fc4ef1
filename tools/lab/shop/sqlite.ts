/** The books in SQLite: a program that enters transactions without end, and the audit of a copy. */
import Database from 'better-sqlite3';
import path from 'node:path';
import { type Audit, audit, openingStatements, statements, transaction } from './ledger.js';

export const SQLITE_FILE = 'shop.db';

export type JournalMode = 'wal' | 'delete';

export function openBooks(folder: string, mode: JournalMode): Database.Database {
  const db = new Database(path.join(folder, SQLITE_FILE));
  db.pragma(`journal_mode = ${mode}`);
  db.pragma('synchronous = FULL');
  const tables = db.prepare("SELECT COUNT(*) FROM sqlite_master WHERE name = 'accounts'").pluck();
  if (tables.get() === 0) {
    db.transaction(() => {
      for (const sql of openingStatements()) db.exec(sql);
    })();
  }
  return db;
}

/** Enters the next transaction; gives its number once it is committed. */
export function enterTransaction(db: Database.Database): number {
  const next = db.prepare('SELECT COALESCE(MAX(n), 0) + 1 FROM history').pluck().get() as number;
  db.transaction(() => {
    for (const sql of statements(transaction(next))) db.exec(sql);
  })();
  return next;
}

/** Opens the books as a program would after a crash, which may change them: of a copy. */
export function auditSqlite(folder: string): Audit {
  const db = new Database(path.join(folder, SQLITE_FILE), { fileMustExist: true });
  try {
    const check = db.pragma('integrity_check', { simple: true }) as string;
    const result = audit((sql) => db.prepare(sql).pluck().get() as number);
    const problems = check === 'ok' ? [] : [`integrity_check: ${check}`];
    return { transactions: result.transactions, problems: [...problems, ...result.problems] };
  } finally {
    db.close();
  }
}

/** FOLDER wal|delete [PER_SECOND]: prints the number of each transaction when it is committed. */
function main([folder, mode, perSecond]: string[]): void {
  if (folder === undefined || (mode !== 'wal' && mode !== 'delete')) {
    console.error('usage: sqlite.js FOLDER wal|delete [PER_SECOND]');
    process.exitCode = 2;
    return;
  }
  const db = openBooks(folder, mode);
  const step = (): void => {
    process.stdout.write(`${enterTransaction(db)}\n`);
    if (perSecond === undefined) setImmediate(step);
    else setTimeout(step, 1000 / Number(perSecond));
  };
  process.stdout.write('ready\n');
  step();
}

if (process.argv[1] === import.meta.filename) main(process.argv.slice(2));
