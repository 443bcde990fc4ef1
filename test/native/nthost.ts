/** A driver host of a test's own, and the command line against it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import { packageRoot } from '../../userland/common/paths.js';
import { temporaryFolder } from './temporary.js';

const root = packageRoot();

/** Where the build is; NTS_BUILD names another. */
const build = path.resolve(root, process.env.NTS_BUILD ?? 'build/host');
export const drivers = path.join(build, 'drivers');
const program = path.join(build, 'bin/nthost');

/** Why there are no tests with a host; false where there are. */
export function missing(...names: string[]): string | false {
  if (!existsSync(program)) return 'the driver host is not built';
  const driver = names.find((name) => !existsSync(path.join(drivers, `${name}.so`)));
  return driver ? `the driver ${driver} is not built` : false;
}

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface HostOptions {
  /** More of nthost's own. */
  readonly parameters?: readonly string[];
  /** What it runs under: ip netns exec NAME. */
  readonly wrapper?: readonly string[];
}

/** Tests that act as another user need root, in the machine's own user namespace. */
export const otherUsers =
  process.getuid?.() === 0 && !process.env.NTS_UNPRIVILEGED
    ? {}
    : { skip: 'only root can act as another user' };

/**
 * A command as another user, who may read whatever folder the project is in (a clone below /root, say) and has no other right of
 * root's.
 */
export function asUser(uid: number, command: string[]): string[] {
  const may = '+dac_read_search';
  const user = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  // Without it access(2), and so existsSync, would not count what this user may.
  const bits = '--securebits=+no_setuid_fixup';
  return ['setpriv', ...user, bits, `--inh-caps=${may}`, `--ambient-caps=${may}`, '--', ...command];
}

export class Nthost {
  /** What the driver host and the command line keep. */
  private constructor(
    readonly folder: string,
    readonly endpoint: string,
    private readonly options: HostOptions,
    private child: ChildProcess,
  ) {}

  static async start(t: Test, options: HostOptions = {}): Promise<Nthost> {
    const folder = temporaryFolder(t);
    const endpoint = path.join(folder, 'host.sock');
    const host = new Nthost(folder, endpoint, options, launch(folder, endpoint, options));
    t.teardown(() => host.stop('SIGTERM'));
    await host.ready();
    return host;
  }

  get pid(): number {
    return this.child.pid!;
  }

  get log(): string {
    return readFileSync(path.join(this.folder, 'host.log'), 'utf8');
  }

  /** How it ended: its exit status, or the signal. */
  async stop(signal: NodeJS.Signals): Promise<number | string | null> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await once(child, 'exit');
    }
    return child.exitCode ?? child.signalCode;
  }

  /** The machine starts again: the same state, a new host. */
  async restart(): Promise<void> {
    await this.stop('SIGTERM');
    this.child = launch(this.folder, this.endpoint, this.options);
    await this.ready();
  }

  async ntswift(...words: string[]): Promise<Ran> {
    return this.command(this.start(...words));
  }

  start(...words: string[]): ChildProcess {
    return this.startAs(null, ...words);
  }

  /** As another user. */
  startAs(uid: number | null, ...words: string[]): ChildProcess {
    const program = [process.execPath, path.join(root, 'dist/userland/cli/main.js'), ...words];
    const [command = '', ...args] = uid === null ? program : asUser(uid, program);
    return spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NTSWIFT_HOST: this.endpoint, NTSWIFT_STATE: this.stateFolder },
    });
  }

  get stateFolder(): string {
    return path.join(this.folder, 'ntswift');
  }

  async command(child: ChildProcess): Promise<Ran> {
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [status] = (await once(child, 'close')) as [number | null];
    return { status, stdout, stderr };
  }

  /** The result of a command that must succeed. */
  async json<T = Record<string, unknown>>(...words: string[]): Promise<T> {
    const { status, stdout, stderr } = await this.ntswift(...words, '--json');
    if (status !== 0) throw new Error(`ntswift ${words.join(' ')}: ${status}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  private async ready(): Promise<void> {
    while (!existsSync(this.endpoint)) {
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(`nthost ended: ${this.log}`);
      }
      await sleep(5);
    }
  }
}

function launch(folder: string, endpoint: string, options: HostOptions): ChildProcess {
  const { parameters = [], wrapper = [] } = options;
  const state = path.join(folder, 'host');
  const [command = program, ...words] = [
    ...wrapper,
    program,
    ...['--socket', endpoint, '--state', state, ...parameters],
  ];
  // A host that was killed leaves its socket behind.
  rmSync(endpoint, { force: true });
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const log = createWriteStream(path.join(folder, 'host.log'), { flags: 'a' });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  return child;
}

/** Waits for something to become true, by asking; a test's own timeout ends it. */
export async function until<T>(ask: () => Promise<T | null> | T | null): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    await sleep(10);
  }
}
