/** The books in PostgreSQL: its server over a folder, a session that enters transactions, and the audit of a copy. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { LabError, run, until } from '../process.js';
import {
  type Audit,
  audit,
  countTransactions,
  openingStatements,
  statements,
  transaction,
} from './ledger.js';

/** Why there can be no server here; null: it can be. */
export function whyNoPostgres(): string | null {
  if (!existsSync(installations) || readdirSync(installations).length === 0)
    return 'PostgreSQL is not installed';
  return process.getuid?.() === 0 && !process.env.NTS_UNPRIVILEGED
    ? null
    : "PostgreSQL's server runs as a user of its own, whom only root can become";
}

const installations = '/usr/lib/postgresql';

/** Where Debian has the programs of the newest release that is installed. */
function programs(): string {
  const why = whyNoPostgres();
  if (why !== null) throw new LabError(why);
  const [newest] = readdirSync(installations).sort((a, b) => Number(b) - Number(a));
  return path.join(installations, newest!, 'bin');
}

/** The server refuses to run as root. */
function owner(): { uid: number; gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid === undefined || gid === undefined) throw new LabError('there is no user postgres');
  return { uid: Number(uid), gid: Number(gid) };
}

/** A folder that was copied by root becomes the server's. */
export function ownedByServer(folder: string): void {
  const { uid, gid } = owner();
  run('chown', ['-R', `${uid}:${gid}`, folder]);
}

function runAs(command: string, args: string[], input = ''): string {
  const result = spawnSync(path.join(programs(), command), args, {
    ...owner(),
    encoding: 'utf8',
    input,
    cwd: '/',
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' },
  });
  if (result.status !== 0) {
    throw new LabError(`${command} ${args.join(' ')}: ${(result.stderr || result.stdout).trim()}`);
  }
  return result.stdout;
}

export class PostgresServer {
  private constructor(
    readonly data: string,
    private readonly sockets: string,
    private readonly server: ChildProcess,
  ) {}

  /**
   * Makes the cluster of databases if the folder has none. `sockets` is a folder outside of `data`. Of a copy that is thrown away
   * nothing need reach the disk.
   */
  static async start(data: string, sockets: string, isCopy = false): Promise<PostgresServer> {
    const { uid, gid } = owner();
    for (const folder of [data, sockets]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      chownSync(folder, uid, gid);
    }
    if (readdirSync(data).length === 0) {
      const options = ['-A', 'trust', '--no-locale', '-E', 'UTF8', '--no-sync', '--wal-segsize=1'];
      runAs('initdb', ['-D', data, ...options]);
    }
    const server = spawn(
      path.join(programs(), 'postgres'),
      ['-D', data, '-k', sockets, '-c', 'listen_addresses=', '-c', 'wal_level=minimal'].concat([
        '-c',
        'max_wal_senders=0',
        '-c',
        'shared_buffers=16MB',
        '-c',
        'checkpoint_timeout=30s',
        // Else the recovery from a crash flushes a thousand files, one by one.
        '-c',
        'recovery_init_sync_method=syncfs',
        '-c',
        `fsync=${isCopy ? 'off' : 'on'}`,
      ]),
      { ...owner(), cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let told = '';
    server.stderr.on('data', (chunk: Buffer) => (told = `${told}${chunk.toString()}`.slice(-4000)));
    const instance = new PostgresServer(data, sockets, server);
    await until(
      'PostgreSQL takes connections',
      () => {
        if (server.exitCode !== null) throw new LabError(`PostgreSQL ended: ${told}`);
        return spawnSync(path.join(programs(), 'pg_isready'), ['-h', sockets]).status === 0
          ? true
          : undefined;
      },
      60_000,
      50,
    );
    return instance;
  }

  query(sql: string): string {
    return runAs('psql', ['-h', this.sockets, '-d', 'postgres', '-AtqX', '-c', sql]).trim();
  }

  prepare(): void {
    if (this.query("SELECT COUNT(*) FROM pg_tables WHERE tablename = 'accounts'") === '1') return;
    const sql = openingStatements().map((statement) => `${statement};`);
    runAs(
      'psql',
      ['-h', this.sockets, '-d', 'postgres', '-qX', '-v', 'ON_ERROR_STOP=1', '-1'],
      sql.join('\n'),
    );
  }

  /** Enters transactions until the returned function is called or the session ends. */
  enter(committed: (n: number) => void): () => void {
    let n = Number(this.query(countTransactions));
    const session = spawn(
      path.join(programs(), 'psql'),
      ['-h', this.sockets, '-d', 'postgres', '-AtqX', '-v', 'ON_ERROR_STOP=1'],
      { ...owner(), cwd: '/', stdio: ['pipe', 'pipe', 'ignore'] },
    );
    const next = (): void => {
      n += 1;
      const body = statements(transaction(n)).map((sql) => `${sql};`);
      session.stdin.write(['BEGIN;', ...body, 'COMMIT;', `\\echo ${n}`, ''].join('\n'));
    };
    session.stdin.on('error', () => session.kill('SIGKILL'));
    createInterface({ input: session.stdout }).on('line', (line) => {
      committed(Number(line));
      next();
    });
    next();
    return () => session.kill('SIGKILL');
  }

  /** As a power failure does it: all its processes at once. */
  async kill(): Promise<void> {
    const pids = readFileSync(`/proc/${this.server.pid}/task/${this.server.pid}/children`, 'utf8');
    this.server.kill('SIGKILL');
    for (const pid of pids.trim().split(' ').filter(Boolean)) {
      try {
        process.kill(Number(pid), 'SIGKILL');
      } catch {
        // it has ended
      }
    }
    await this.ended();
  }

  async stop(): Promise<void> {
    this.server.kill('SIGINT');
    await this.ended();
  }

  private async ended(): Promise<void> {
    if (this.server.exitCode !== null || this.server.signalCode !== null) return;
    await new Promise((resolve) => this.server.once('exit', resolve));
  }
}

/** Starts a server over the copy, which recovers as after a crash. */
export async function auditPostgres(copy: string, sockets: string): Promise<Audit> {
  const server = await PostgresServer.start(copy, sockets, true);
  try {
    return audit((sql) => Number(server.query(sql)));
  } finally {
    await server.stop();
  }
}

/** FOLDER SOCKETS: a server over the folder; prints the number of each transaction when it is committed. */
async function main([folder, sockets]: string[]): Promise<void> {
  if (folder === undefined || sockets === undefined) {
    console.error('usage: postgres.js FOLDER SOCKETS');
    process.exitCode = 2;
    return;
  }
  const server = await PostgresServer.start(folder, sockets);
  server.prepare();
  process.stdout.write('ready\n');
  server.enter((n) => process.stdout.write(`${n}\n`));
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
