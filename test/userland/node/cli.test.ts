/** ntswift cluster, node and service as processes. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { packageRoot } from '../../../userland/common/paths.js';
import { pretty } from '../../../userland/cli/service-log.js';
import { styleFor } from '../../../userland/cli/style.js';
import { temporaryFolder } from '../../native/temporary.js';

// Each command is a process; while others use the machine, many take a while.
t.setTimeout(180_000);

const main = path.join(packageRoot(), 'dist/userland/cli/main.js');

interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(state: string, words: readonly string[]): ChildProcessWithoutNullStreams {
  const env = { ...process.env, NTSWIFT_STATE: state, NTSWIFT_HOST: '/no-such-folder/host.sock' };
  const child = spawn(process.execPath, [main, ...words], { env });
  child.stdout.setEncoding('utf8');
  child.stderr.setEncoding('utf8');
  return child;
}

async function ntswift(state: string, words: readonly string[], input = ''): Promise<Ran> {
  const child = start(state, words);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text: string) => (stdout += text));
  child.stderr.on('data', (text: string) => (stderr += text));
  child.stdin.on('error', () => undefined).end(input);
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, stdout, stderr };
}

/** What it prints by --json; it must succeed. */
async function json(state: string, ...words: string[]): Promise<Record<string, unknown>> {
  const { status, stdout, stderr } = await ntswift(state, [...words, '--json']);
  if (status !== 0) throw new Error(`${words.join(' ')}: ${status ?? 0} ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** The code of the error by which it fails. */
async function code(state: string, ...words: string[]): Promise<[number | null, string]> {
  const { status, stderr } = await ntswift(state, [...words, '--json']);
  const last = stderr.trimEnd().split('\n').at(-1)!;
  return [status, (JSON.parse(last) as { error: { code: string } }).error.code];
}

interface Service {
  readonly ready: Record<string, unknown>;
  readonly address: string;
  readonly pid: number;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

async function serve(t: Test, state: string, ...words: string[]): Promise<Service> {
  const child = start(state, ['service', '--json', ...words]);
  child.stderr.resume();
  const exit = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const line = once(createInterface(child.stdout), 'line') as Promise<[string]>;
  const first = await Promise.race([line, exit.then(([status]) => [`exit ${status ?? 0}`])]);
  const ready = JSON.parse(first[0]) as Record<string, unknown>;
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> => {
    child.kill(signal);
    return (await exit)[0];
  };
  t.teardown(() => stop('SIGKILL'));
  return { ready, address: String(ready.address), pid: child.pid!, stop };
}

const anywhere = ['--listen', '127.0.0.1:0', '--address', '127.0.0.1:0'];

interface Pair {
  readonly a: string;
  readonly b: string;
  readonly first: Service;
}

/** Node alpha runs, node beta has joined. */
async function pair(t: Test): Promise<Pair> {
  const folder = temporaryFolder(t);
  const [a, b] = [path.join(folder, 'a'), path.join(folder, 'b')];
  await json(a, 'cluster', 'init', '--name', 'shop', '--node', 'alpha', '--address', '127.0.0.1:1');
  const first = await serve(t, a, ...anywhere);
  const { token } = await json(a, 'cluster', 'token');
  const words = ['--token', String(token), '--name', 'beta', '--address', '127.0.0.1:1'];
  await json(b, 'node', 'join', first.address, ...words);
  return { a, b, first };
}

t.test('from nothing to two nodes, and back to one', async (t) => {
  const { a, b, first } = await pair(t);
  t.match(first.ready, { ready: true, node: 'alpha', cluster: 'shop', pid: first.pid });
  const second = await serve(t, b, ...anywhere);

  const list = await ntswift(b, ['node', 'list']);
  t.match(list, { status: 0, stderr: '' });
  t.match(
    list.stdout,
    /^NODE +ADDRESS +CA'S KEY +JOINED\nalpha +127\.0\.0\.1:\d+ +yes .*\nbeta .*this node\n$/,
  );

  const status = await json(a, 'node', 'status');
  t.match(status, {
    ...{ node: 'alpha', cluster: 'shop', authority: true, removed: false, nodes: 2 },
    peers: [
      { node: 'alpha', answers: true, status: { authority: true } },
      { node: 'beta', answers: true, address: second.address, status: { authority: false } },
    ],
  });
  t.match(await json(b, 'node', 'status', 'alpha'), {
    peers: [
      { node: 'alpha', status: { services: [{ name: 'ntswift-node/1', state: 'running' }] } },
    ],
  });
  t.match((await ntswift(a, ['node', 'status'])).stdout, /beta +127.*answers .*ntswift-node\/1/);

  t.same(await code(b, 'node', 'remove', 'alpha', '--yes'), [3, 'NTS_ERR_NO_AUTHORITY']);
  t.same(await code(a, 'node', 'remove', 'gamma', '--yes'), [2, 'NTS_ERR_UNKNOWN_NODE']);
  t.same(await code(a, 'node', 'remove', 'alpha', '--yes'), [2, 'NTS_ERR_USAGE']);
  t.same(await code(a, 'node', 'remove', 'beta'), [7, 'NTS_ERR_UNCONFIRMED']);
  t.match(await json(a, 'node', 'remove', 'beta', '--yes'), {
    node: 'beta',
    told: [],
    notTold: [],
  });
  t.match(await json(b, 'node', 'status', 'alpha'), {
    peers: [{ answers: false, code: 'NTS_ERR_NODE_REVOKED' }],
  });
  t.match(await json(a, 'node', 'list', '--removed'), [{ name: 'beta' }]);

  t.same(await code(b, 'node', 'leave'), [7, 'NTS_ERR_UNCONFIRMED']);
  t.equal(await second.stop(), 0);
  t.match(await json(b, 'node', 'leave', '--yes'), { node: 'beta', cluster: 'shop' });
  t.same(await code(b, 'node', 'list'), [3, 'NTS_ERR_NO_CLUSTER']);

  const { stdout } = await ntswift(a, ['cluster', 'token', '--ttl', '1h']);
  const words = ['node', 'join', first.address, '--token', '-', '--name', 'beta'];
  const joined = await ntswift(b, words, stdout);
  t.match(joined, { status: 0, stdout: /cluster +shop, 2 nodes/ }, 'it may come back, by stdin');
});

t.test('refusals have codes and exit statuses', async (t) => {
  const { a, b, first } = await pair(t);
  t.same(await code(a, 'cluster', 'init'), [3, 'NTS_ERR_CLUSTER_EXISTS']);
  t.same(await code(b, 'cluster', 'token'), [3, 'NTS_ERR_NO_AUTHORITY']);
  const empty = path.join(temporaryFolder(t), 'c');
  for (const words of [
    'cluster token',
    'node list',
    'node status',
    'node renew',
    'node leave',
    'service',
  ]) {
    t.same(await code(empty, ...words.split(' ')), [3, 'NTS_ERR_NO_CLUSTER'], words);
  }
  t.notOk(existsSync(empty), 'looking for a node leaves nothing behind');
  const { token } = await json(a, 'cluster', 'token');
  const join = (to: string, ...words: string[]): Promise<[number | null, string]> =>
    code(empty, 'node', 'join', to, '--name', 'gamma', ...words);
  t.same(await join(first.address, '--token', 'ntsj1.x'), [2, 'NTS_ERR_USAGE']);
  t.same(await join('a/b', '--token', String(token)), [2, 'NTS_ERR_USAGE']);
  t.same(await join('127.0.0.1:1', '--token', String(token)), [4, 'NTS_ERR_PEER_UNREACHABLE']);
  await json(empty, 'node', 'join', first.address, '--name', 'gamma', '--token', String(token));
  const other = path.join(temporaryFolder(t), 'd');
  const used = ['node', 'join', first.address, '--name', 'delta', '--token', String(token)];
  t.same(await code(other, ...used), [3, 'NTS_ERR_TOKEN_USED']);
});

t.test('wrong command lines', async (t) => {
  const state = path.join(temporaryFolder(t), 'x');
  const lines: [string, RegExp][] = [
    ['cluster', /ntswift cluster COMMAND/],
    ['cluster ca', /ntswift cluster ca COMMAND/],
    ['cluster ca export', /missing/],
    ['cluster bogus', /bogus/],
    ['node bogus', /bogus/],
    ['node join x', /token/],
    ['node join x --token y --name', /following: name/],
    ['node join x --token y --name a,b', /no name/],
    ['cluster init --address a/b', /no HOST:PORT/],
    ['cluster init --address a:0', /port 0/],
    ['cluster init --name a/b', /no name/],
    ['cluster token --ttl 1', /--ttl takes/],
    ['cluster token --ttl 8d', /--ttl takes/],
    ['service --listen a/b', /no HOST:PORT/],
    ['service --log-level loud', /"error"/],
  ];
  for (const [line, message] of lines) {
    const { status, stdout, stderr } = await ntswift(state, line.split(' '));
    t.equal(status, 2, line);
    t.equal(stdout, '', line);
    t.match(stderr, message, line);
  }
});

t.test('help of the group and of its own command', async (t) => {
  const { status, stdout } = await ntswift('/nonexistent', ['node', '--help']);
  t.equal(status, 0);
  t.match(stdout, /node join.*node list.*node remove.*A page for a first look/s);
  const ca = await ntswift('/nonexistent', ['cluster', 'ca', '--help']);
  t.match(ca, { status: 0, stdout: /ca export <file>.*ca import <file>/s });
  // The page of the node itself still wants a driver host.
  t.same(await code('/nonexistent', 'node'), [4, 'NTS_ERR_HOST_UNREACHABLE']);
});

t.test("the CA's key moves", async (t) => {
  const { a, b } = await pair(t);
  await serve(t, b, ...anywhere);
  const file = path.join(temporaryFolder(t), 'ca.json');
  const words = path.join(temporaryFolder(t), 'words');
  writeFileSync(words, 'correct horse\n', { mode: 0o600 });
  const passphrase = ['--passphrase-file', words];
  t.same(await code(a, 'cluster', 'ca', 'export', file), [7, 'NTS_ERR_UNCONFIRMED']);
  t.notOk(existsSync(file));
  const moved = await json(a, 'cluster', 'ca', 'export', file, '--move', '--yes', ...passphrase);
  t.match(moved, { moved: true, encrypted: true, told: ['beta'] });
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.same(await code(a, 'cluster', 'token'), [3, 'NTS_ERR_NO_AUTHORITY']);
  t.same(await code(b, 'cluster', 'ca', 'import', file, '--yes'), [6, 'NTS_ERR_FILE_READ']);
  t.same(await code(b, 'cluster', 'ca', 'import', file, ...passphrase), [7, 'NTS_ERR_UNCONFIRMED']);
  await json(b, 'cluster', 'ca', 'import', file, '--yes', ...passphrase);
  t.match(await json(b, 'cluster', 'token'), { token: /^ntsj1\./ });
  const { certificate } = await json(a, 'node', 'status');
  const { certificate: renewed } = await json(a, 'node', 'renew');
  t.not((renewed as { serial: string }).serial, (certificate as { serial: string }).serial);
  t.match(await json(b, 'node', 'list'), [
    { name: 'alpha', authority: false },
    { name: 'beta', authority: true, local: true },
  ]);
});

t.test('the service: readiness, log, signals', async (t) => {
  const { a, first } = await pair(t);
  await first.stop();
  const log = path.join(temporaryFolder(t), 'log');
  const service = await serve(t, a, ...anywhere, '--log', log);
  const lines = (file: string): Record<string, unknown>[] =>
    readFileSync(file, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.equal(statSync(log).mode & 0o777, 0o600);
  t.match(lines(log).at(-1), { level: 'info', msg: 'ready', pid: service.pid });
  t.same(await code(a, 'service', '--listen', service.address), [3, 'NTS_ERR_IO']);

  renameSync(log, `${log}.1`);
  process.kill(service.pid, 'SIGHUP');
  while (!existsSync(log)) await new Promise(setImmediate);
  t.equal(await service.stop('SIGTERM'), 0);
  t.match(lines(log).at(-1), { msg: 'stopped' });
  const again = await serve(t, a, ...anywhere);
  t.equal(await again.stop('SIGINT'), 0);
});

t.test('somebody else at the address', async (t) => {
  const server = createServer((socket) => void socket.end('220 mail ready\r\n'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { a } = await pair(t);
  const { token } = await json(a, 'cluster', 'token');
  const { port } = server.address() as { port: number };
  const state = path.join(temporaryFolder(t), 'c');
  const words = ['node', 'join', `127.0.0.1:${port}`, '--token', String(token)];
  t.same(await code(state, ...words), [3, 'NTS_ERR_PEER_PROTOCOL']);
});

t.test('a log for people', (t) => {
  const plain = styleFor(process.stdout, false);
  const time = '2026-01-02T03:04:05.678Z';
  const line = { level: 'warn', time, service: 'x/1', peer: 'b', msg: 'slow' };
  t.equal(pretty(JSON.stringify(line), plain), '03:04:05.678 warn  x/1: slow peer="b"');
  const err = { message: 'why', stack: 'Error: why\n    at here' };
  t.equal(
    pretty(JSON.stringify({ level: 'error', time, err }), plain),
    '03:04:05.678 error why\nError: why\n    at here',
  );
  t.match(pretty(JSON.stringify(line), styleFor(process.stdout, true)), '\u001b[33mwarn');
  t.end();
});
