// A database under continuous load, whose machine dies at a random moment, again and again: what the backup then has is opened as
// after a power failure, and audited.
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from './built.js';
import type { Running } from './namespace.js';
import { childrenOf, eachLine, LabError, sleep, until } from './process.js';
import { Random } from './random.js';
import { Replica } from './replica.js';
import { auditPostgres, ownedByServer } from './shop/postgres.js';
import type { Audit } from './shop/ledger.js';
import { auditSqlite } from './shop/sqlite.js';

export const databases = ['wal', 'delete', 'postgres'] as const;
export type Database = (typeof databases)[number];

export const databaseNames: Record<Database, string> = {
  wal: 'SQLite, WAL',
  delete: 'SQLite, rollback journal',
  postgres: 'PostgreSQL',
};

export type Mode = 'async' | 'durable';

export interface Kill {
  readonly seed: number;
  /** Milliseconds of load before the kill, beyond the first transaction. */
  readonly loadMs: number;
  /** So long before it the link was cut; null: it was not. */
  readonly cutMs: number | null;
  /** The last that a client was told to be committed. */
  readonly committed: number;
  /** What the backup has. */
  readonly transactions: number;
  readonly problems: readonly string[];
}

/** The longest load of a round, in milliseconds. */
const longest = 1500;

export class KillLab {
  private down = false;
  private rounds = 0;
  /** For a server's sockets, whose names have little room. The server is another user. */
  private readonly socketFolder = mkdtempSync(path.join(os.tmpdir(), 'nts-kill-'));

  private constructor(
    readonly replica: Replica,
    private readonly database: Database,
    private readonly mode: Mode,
  ) {
    chmodSync(this.socketFolder, 0o755);
  }

  static async start(folder: string, database: Database, mode: Mode): Promise<KillLab> {
    const replica = await Replica.start(folder, { mode });
    return new KillLab(replica, database, mode);
  }

  /**
   * One more time: load, perhaps a cut, the kill, the audit. The machine stays down; when it is back the next time, what it has and
   * what the backup has must have become equal.
   */
  async kill(seed: number): Promise<Kill> {
    const random = new Random(seed);
    const loadMs = random.below(longest);
    const cutMs = random.below(2) ? random.below(loadMs + 1) : null;
    this.rounds += 1;
    const returned = this.down;
    if (returned) await this.replica.startPrimary();
    this.down = false;
    await this.replica.level();
    const differs = returned ? this.replica.difference() : '';

    const backup = this.replica.on('beta');
    let committed = 0;
    const program = await this.program((line) => (committed = Number(line) || committed));
    await until('a transaction', () => (committed > 0 ? true : alive(program)), 60_000);
    await sleep(loadMs - (cutMs ?? 0));
    if (cutMs !== null) {
      backup.pull();
      await sleep(cutMs);
    }
    // All that it printed until it died.
    const heard = new Promise((resolve) => program.child.once('close', resolve));
    await this.replica.killPrimary(program);
    this.down = true;
    await heard;
    if (cutMs !== null) {
      // A machine that loses its power loses what its kernel had still to send. Here the kernel lives on.
      backup.reset();
      backup.plug();
    }
    await this.replica.settled();

    const copy = this.replica.copy(`opened-${this.rounds}`);
    const audit = await this.audit(copy);
    rmSync(copy, { recursive: true });
    const { transactions } = audit;
    const problems = [...audit.problems];
    if (differs !== '') problems.push(`after the return the backup differed: ${differs}`);
    // The last may have been committed without the client hearing of it.
    if (transactions > committed + 1) problems.push('transactions that nobody entered');
    if (this.mode === 'durable' && transactions < committed)
      problems.push('transactions that were acknowledged are not there');
    return { seed, loadMs, cutMs, committed, transactions, problems };
  }

  /** Its PID is that of the first process of a PID namespace: with it all of a server's processes end at one moment. */
  private async program(line: (text: string) => void): Promise<Running> {
    const { replica, database } = this;
    const script = path.join(root, 'dist/tools/lab/shop');
    const words =
      database === 'postgres'
        ? [`${script}/postgres.js`, path.join(replica.primary, 'pg'), this.sockets('running')]
        : [`${script}/sqlite.js`, replica.primary, database];
    const shell = await replica.machine.spawn(
      'sh',
      '-c',
      // What it says when its disk is gone is of interest only if it ends before.
      `exec "$0" "$@" 2>> '${replica.machine.folder}/program.log'`,
      'unshare',
      '--pid',
      '--fork',
      '--kill-child',
      process.execPath,
      ...words,
    );
    eachLine(shell.child, line);
    const pid = await until('the program', () => childrenOf(shell.pid)[0] ?? alive(shell));
    return { pid, child: shell.child };
  }

  private sockets(name: string): string {
    return path.join(this.socketFolder, name);
  }

  private async audit(copy: string): Promise<Audit> {
    if (this.database !== 'postgres') return auditSqlite(copy);
    const data = path.join(copy, 'pg');
    const sockets = this.sockets('audit');
    mkdirSync(sockets, { recursive: true });
    ownedByServer(data);
    return auditPostgres(data, sockets);
  }

  async close(): Promise<void> {
    await this.replica.close();
    rmSync(this.socketFolder, { recursive: true });
  }
}

function alive({ child }: Running): undefined {
  if (child.exitCode !== null) throw new LabError(`the program ended with ${child.exitCode}`);
}
