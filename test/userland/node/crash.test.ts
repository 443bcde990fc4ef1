/**
 * Processes that die at each change of their files in turn, in the middle of a write where it is one: what
 * is found afterwards is the old state or the new one, and the same command again brings the new one.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { packageRoot } from '../../../userland/common/paths.js';
import { Store } from '../../../userland/common/store.js';
import { Authority } from '../../../userland/node/authority.js';
import { MINUTE } from '../../../userland/node/clock.js';
import { initCluster } from '../../../userland/node/init.js';
import { joinCluster } from '../../../userland/node/join.js';
import { LocalNode } from '../../../userland/node/local-node.js';
import { type Endpoint, parseEndpoint } from '../../../userland/node/names.js';
import { temporaryFolder } from '../../native/temporary.js';
import { compiler } from '../c-compiler.js';
import { addressOf, startCluster, tokenOf } from './cluster.js';

t.setTimeout(280_000);

const possible = process.platform === 'linux' && compiler !== null;
const skip = possible ? false : 'needs Linux and clang';

const main = path.join(packageRoot(), 'dist/userland/cli/main.js');
const ADDRESS = '127.0.0.1:1';

/** More changes than any of these commands makes. */
const MOST = 200;

function buildShim(t: Test): string {
  const library = path.join(temporaryFolder(t), 'crash.so');
  const source = path.join(packageRoot(), 'test/userland/node/crash.c');
  const options = ['-Wall', '-Werror', '-O1', '-shared', '-fPIC', '-o', library, source];
  const { status, stderr } = spawnSync(compiler!, options, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return library;
}

interface Crash {
  readonly library: string;
  readonly folder: string;
  readonly at: number;
  /** Changes count once this file exists. */
  readonly armed?: string;
}

function environment({ library, folder, at, armed }: Crash): NodeJS.ProcessEnv {
  return {
    ...process.env,
    LD_PRELOAD: library,
    CRASH_FOLDER: realpathSync(folder),
    CRASH_AT: String(at),
    ...(armed === undefined ? {} : { CRASH_ARMED: armed }),
  };
}

/** Calls a function of one of our modules in a process. Whether that was killed; else it has succeeded. */
async function crashes(
  crash: Crash,
  module: string,
  call: string,
  ...parameters: unknown[]
): Promise<boolean> {
  const file = JSON.stringify(path.join(packageRoot(), 'dist/userland', module));
  const list = parameters.map((one) => JSON.stringify(one)).join();
  const script = `const module = await import(${file}); await module.${call}(${list});`;
  const words = ['--input-type=module', '-e', script];
  const child = spawn(process.execPath, words, { env: environment(crash) });
  child.stderr.setEncoding('utf8');
  let errors = '';
  child.stderr.on('data', (text: string) => (errors += text));
  child.stdout.resume();
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (signal === 'SIGKILL') return true;
  if (code !== 0) throw new Error(`exit status ${code ?? 0}: ${errors}`);
  return false;
}

async function isNode(state: string): Promise<boolean> {
  if (!existsSync(path.join(state, 'cluster/node.json'))) return false;
  (await LocalNode.open(state)).close();
  return true;
}

/** Processes at once: they mostly wait for the disk. */
const PARALLEL = 4;

/** Runs `work` for 1, 2, ... until it says that nothing has crashed; how often it was run. */
async function sweep(work: (at: number) => Promise<boolean>): Promise<number> {
  let at = 1;
  for (let going = true; going && at < MOST; at += PARALLEL) {
    const batch = Array.from({ length: PARALLEL }, (_, i) => work(at + i));
    going = (await Promise.all(batch)).every((crashed) => crashed);
  }
  return at - 1;
}

/** Files that a crash has left half written. */
function halves(state: string): string[] {
  return readdirSync(path.join(state, 'cluster')).filter((name) => name.endsWith('.tmp'));
}

t.test('making the store', { skip }, async (t) => {
  const library = buildShim(t);
  const runs = await sweep(async (at) => {
    const folder = temporaryFolder(t);
    const crashed = await crashes({ library, folder, at }, 'common/store.js', 'Store.open', folder);
    const store = Store.open(folder);
    t.equal(store.get('SELECT * FROM join_token'), null, `change ${at}`);
    store.close();
    return crashed;
  });
  t.ok(runs > 10 && runs < MOST, `${runs} runs`);
});

t.test('making a cluster', { skip }, async (t) => {
  const library = buildShim(t);
  const seen = { old: 0, new: 0, halves: 0 };
  const runs = await sweep(async (at) => {
    const folder = temporaryFolder(t);
    const state = path.join(folder, 's');
    Store.open(state).close();
    const options = { cluster: 'test', node: 'a', address: ADDRESS };
    const crash = { library, folder, at };
    const crashed = await crashes(crash, 'node/init.js', 'initCluster', state, options);
    if (await isNode(state)) {
      seen.new++;
      await t.rejects(initCluster(state, options), { code: 'NTS_ERR_CLUSTER_EXISTS' });
    } else {
      seen.old++;
      if (existsSync(path.join(state, 'cluster'))) seen.halves += halves(state).length;
      await initCluster(state, options);
      t.same(halves(state), [], 'what was half written is gone');
    }
    const local = await LocalNode.open(state);
    if (!(await local.loadCa())) t.fail(`change ${at}: no key of the CA`);
    local.close();
    return crashed;
  });
  t.ok(runs > 10 && runs < MOST, `${runs} runs`);
  t.ok(seen.old > 10 && seen.new > 1 && seen.halves > 1, JSON.stringify(seen));
});

/** Every name but a's, with its number of nodes: more than one would be two for one token. */
function others(names: readonly string[]): string[] {
  return names.filter((name) => name !== 'a');
}

t.test('joining: the new node dies', { skip }, async (t) => {
  const library = buildShim(t);
  const a = await startCluster(t);
  const { host, port } = addressOf(a);
  const seen = { old: 0, new: 0, admitted: 0 };
  const runs = await sweep(async (at) => {
    const folder = temporaryFolder(t);
    const state = path.join(folder, 's');
    Store.open(state).close();
    const token = await tokenOf(a);
    const name = `n${at}`;
    const options = { token, name, address: ADDRESS };
    const crash = { library, folder, at };
    const parameters = [state, { host, port }, options];
    const crashed = await crashes(crash, 'node/join.js', 'joinCluster', ...parameters);
    const admitted = a.local.membership.byName(name);
    if (await isNode(state)) {
      seen.new++;
    } else {
      seen.old++;
      if (admitted) seen.admitted++;
      await joinCluster(state, { host, port }, options);
    }
    const local = await LocalNode.open(state);
    if (admitted && admitted.id !== local.id) t.fail(`change ${at}: admitted twice`);
    t.equal(a.local.membership.byName(name)?.id, local.id);
    local.close();
    return crashed;
  });
  t.ok(runs > 10 && runs < MOST, `${runs} runs`);
  t.equal(others(a.local.membership.names).length, runs);
  t.ok(seen.old > 10 && seen.new > 1, JSON.stringify(seen));
  t.ok(seen.admitted > 1, 'some died between the answer and its being kept');
});

interface Running {
  readonly endpoint: Endpoint;
  kill(): Promise<void>;
  readonly killed: Promise<boolean>;
}

async function serve(state: string, crash: Crash | null): Promise<Running> {
  const words = ['service', '--state', state, '--listen', '127.0.0.1:0', '--json'];
  const env = crash ? environment(crash) : process.env;
  const child = spawn(process.execPath, [main, ...words, '--log-level', 'error'], { env });
  child.stderr.resume();
  const exit = once(child, 'close') as Promise<[number | null, string | null]>;
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  const endpoint = parseEndpoint((JSON.parse(line) as { listening: string }).listening)!;
  return {
    endpoint,
    killed: exit.then(([, signal]) => signal === 'SIGKILL'),
    async kill() {
      child.kill('SIGTERM');
      await exit;
    },
  };
}

async function initial(t: Test): Promise<{ state: string; token: string }> {
  const state = path.join(temporaryFolder(t), 'a');
  await initCluster(state, { cluster: 'test', node: 'a', address: ADDRESS });
  const local = await LocalNode.open(state);
  const { token } = (await Authority.of(local, 'test')).createToken(10 * MINUTE);
  local.close();
  return { state, token };
}

t.test('joining: the node that admits dies', { skip }, async (t) => {
  const library = buildShim(t);
  const { state: original, token } = await initial(t);
  const seen = { old: 0, new: 0 };
  const runs = await sweep(async (at) => {
    const folder = temporaryFolder(t);
    const state = path.join(folder, 'a');
    cpSync(original, state, { recursive: true });
    const armed = path.join(folder, 'armed');
    const first = await serve(state, { library, folder: state, at, armed });
    writeFileSync(armed, '');
    const b = path.join(folder, 'b');
    const options = { token, name: 'b', address: ADDRESS };
    const answered = await joinCluster(b, first.endpoint, options).then(
      () => true,
      () => false,
    );
    if (answered) {
      await first.kill();
      return false;
    }
    t.ok(await first.killed, `change ${at}`);

    const before = await LocalNode.open(state);
    const admitted = before.membership.byName('b');
    before.close();
    if (admitted) seen.new++;
    else seen.old++;
    const second = await serve(state, null);
    // Another one with the same token, first; it wins where nobody was admitted, and loses else.
    const c = path.join(folder, 'c');
    const other = joinCluster(c, second.endpoint, { ...options, name: 'c' });
    const again = (): Promise<unknown> => joinCluster(b, second.endpoint, options);
    if (admitted) {
      await t.rejects(other, { code: 'NTS_ERR_TOKEN_USED' });
      await again();
      const local = await LocalNode.open(b);
      t.equal(local.id, admitted.id);
      local.close();
    } else {
      await other;
      await t.rejects(again(), { code: 'NTS_ERR_TOKEN_USED' });
    }
    await second.kill();
    const after = await LocalNode.open(state);
    t.equal(others(after.membership.names).length, 1, 'one token, one node');
    after.close();
    return true;
  });
  t.ok(runs > 3 && runs < MOST, `${runs} runs`);
  t.ok(seen.old > 0 && seen.new > 0, JSON.stringify(seen));
});
