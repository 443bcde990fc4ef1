/** The channel between two nodes: what goes through, who gets none, and how it ends. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import t, { type Test } from 'tap';
import { Authority } from '../../../userland/node/authority.js';
import { createNodeCertificate } from '../../../userland/node/certificate.js';
import { type Channel, type ChannelLimits, connect } from '../../../userland/node/channel.js';
import { CLOCK_TOLERANCE, DAY, MINUTE } from '../../../userland/node/clock.js';
import { newKey, publicKeyOf } from '../../../userland/node/keys.js';
import { LocalNode } from '../../../userland/node/local-node.js';
import { writeMessage } from '../../../userland/node/message.js';
import type { Service } from '../../../userland/node/service.js';
import { temporaryFolder } from '../../native/temporary.js';
import {
  type TestNode,
  addressOf,
  agreed,
  join,
  joinAndStart,
  startCluster,
  startNode,
} from './cluster.js';
import { closed, connectAsStranger, refusalOn } from './stranger.js';

function serviceOf(handle: Service['handle'], limits: ChannelLimits = {}): Service {
  const nothing = (): Promise<void> => Promise.resolve();
  return { name: 'test/1', limits, start: nothing, stop: nothing, handle };
}

const echo = serviceOf(({ stream }) => void stream.pipe(stream));
const silent = serviceOf(() => undefined);

async function pair(t: Test, service: Service): Promise<[TestNode, TestNode]> {
  const a = await startCluster(t);
  const b = await joinAndStart(t, a, 'b', { services: [service] });
  return [a, b];
}

t.test('what is written arrives, in both directions', async (t) => {
  let other: Channel | undefined;
  const service = serviceOf((channel) => {
    other = channel;
    channel.stream.pipe(channel.stream);
  });
  const [a, b] = await pair(t, service);
  const channel = await connect(a.local, 'b', 'test/1');
  t.match(channel.peer, { name: 'b', id: b.local.id, address: b.local.address, differs: false });
  t.match(other?.peer, { name: 'a', id: a.local.id, serial: a.local.identity.serial });
  t.ok(Math.abs(channel.peer.clockDifference) < 1000);

  const chunks = Array.from({ length: 256 }, () => randomBytes(65536));
  const sent = createHash('sha256');
  for (const chunk of chunks) sent.update(chunk);
  const received = createHash('sha256');
  const sink = new Writable({
    write(chunk: Buffer, _, done) {
      received.update(chunk);
      done();
    },
  });
  const there = pipeline(Readable.from(chunks), channel.stream);
  await Promise.all([there, pipeline(channel.stream, sink)]);
  t.equal(received.digest('hex'), sent.digest('hex'));
  await Promise.all([channel.closed, other!.closed]);
});

t.test('what follows the preamble at once is not lost', async (t) => {
  // The service speaks first, in the same packet as the welcome or soon after.
  const service = serviceOf(({ stream }) => void stream.end('first words'));
  const [a] = await pair(t, service);
  for (let i = 0; i < 10; i++) {
    const { stream } = await connect(a.local, 'b', 'test/1');
    stream.setEncoding('utf8');
    let text = '';
    for await (const part of stream) text += part as string;
    t.equal(text, 'first words');
  }
});

t.test('who writes faster than the other reads has to wait', async (t) => {
  const arrived: Channel[] = [];
  const service = serviceOf((channel) => {
    // The first reads nothing yet, the second answers.
    if (arrived.push(channel) > 1) channel.stream.pipe(channel.stream);
  });
  const [a] = await pair(t, service);
  const { stream } = await connect(a.local, 'b', 'test/1');
  const { stream: busy } = await connect(a.local, 'b', 'test/1');
  const MEBIBYTE = 1 << 20;
  for (let i = 0; i < 64; i++) t.notOk(stream.write(Buffer.alloc(MEBIBYTE)));
  // While much else went between the same two, it stayed where it was but for what the systems buffer.
  for (let i = 0; i < 300; i++) {
    busy.write('x');
    await once(busy, 'data');
  }
  const other = arrived[0]!.stream;
  t.ok(other.readableLength < MEBIBYTE, `${other.readableLength} bytes wait at the reader`);
  t.ok(stream.writableLength > 32 * MEBIBYTE, `${stream.writableLength} at the writer`);
  let received = 0;
  other.on('data', (part: Buffer) => (received += part.length));
  await once(stream, 'drain');
  stream.end();
  await once(other, 'end');
  t.equal(received, 64 * MEBIBYTE);
});

t.test('nobody without a certificate', async (t) => {
  const [, b] = await pair(t, echo);
  const socket = await connectAsStranger(addressOf(b), 'test/1');
  t.equal(await refusalOn(socket), 'NTS_ERR_NOT_A_MEMBER');
  await closed(socket);
});

t.test('nothing but TLS 1.3', async (t) => {
  const [a, b] = await pair(t, echo);
  const { key, cert, ca } = a.local.secureOptions;
  const old = { key, cert, ca, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
  await t.rejects(connectAsStranger(addressOf(b), 'test/1', old), {
    code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
  });
  const now = { ...old, minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' } as const;
  const socket = await connectAsStranger(addressOf(b), 'test/1', now);
  t.equal(socket.getProtocol(), 'TLSv1.3');
  socket.destroy();
});

t.test('no other cluster, on either side', async (t) => {
  const [a, b] = await pair(t, echo);
  const [stranger] = await pair(t, echo);
  const { key, cert } = stranger.local.secureOptions;
  const socket = await connectAsStranger(addressOf(b), 'test/1', { key, cert });
  t.equal(await refusalOn(socket), 'NTS_ERR_WRONG_CLUSTER');
  const address = stranger.local.address;
  await t.rejects(connect(a.local, 'b', 'ntswift-node/1', { address }), {
    code: 'NTS_ERR_WRONG_CLUSTER',
  });
});

/** A certificate of the cluster for b, but made at another time. */
async function madeAt(a: TestNode, b: LocalNode, now: number): Promise<void> {
  const { key: caKey } = (await a.local.loadCa())!;
  const key = newKey();
  const options = { caKey, ca: a.local.ca, name: b.name, id: b.id };
  const certificate = await createNodeCertificate({
    ...{ ...options, publicKey: publicKeyOf(key), now, lifetime: DAY },
  });
  await b.setCertificate(key, certificate);
}

t.test('certificates that do not hold now, on either side', async (t) => {
  const a = await startCluster(t, { services: [echo] });
  const b = await joinAndStart(t, a, 'b', { services: [echo] });
  const cases: [number, string][] = [
    [Date.now() - 2 * DAY, 'NTS_ERR_CERTIFICATE_EXPIRED'],
    [Date.now() + CLOCK_TOLERANCE + MINUTE, 'NTS_ERR_CLOCK_SKEW'],
  ];
  for (const [now, code] of cases) {
    await madeAt(a, b.local, now);
    await t.rejects(connect(a.local, 'b', 'test/1'), {
      code,
      message: /^the certificate of node b/,
    });
    await t.rejects(connect(b.local, 'a', 'test/1'), { code, message: /^node a at .* refuses: / });
  }
  await madeAt(a, b.local, Date.now());
  const channel = await connect(a.local, 'b', 'test/1');
  t.equal(channel.peer.serial, b.local.identity.serial, 'the listener shows the new certificate');
  channel.close();
});

t.test('a removed node is refused, and its channels end', async (t) => {
  const a = await startCluster(t, { services: [silent] });
  const b = await joinAndStart(t, a, 'b', { services: [silent] });
  const c = await joinAndStart(t, a, 'c', { services: [silent] });
  await agreed(a, b, c);
  const toA = await connect(b.local, 'a', 'test/1');
  const toC = await connect(b.local, 'c', 'test/1');
  const between = await connect(c.local, 'a', 'test/1');
  (await Authority.of(a.local, 'test')).remove('b');
  toA.stream.resume();
  toC.stream.resume();
  await Promise.all([toA.closed, toC.closed]);
  t.notOk(between.stream.destroyed, 'others go on');
  for (const node of ['a', 'c']) {
    await t.rejects(connect(b.local, node, 'test/1'), {
      code: 'NTS_ERR_NODE_REVOKED',
      message: /node b was removed/,
    });
  }
  await t.rejects(connect(c.local, 'b', 'test/1'), { code: 'NTS_ERR_NODE_REVOKED' });
  // Also by who does not ask for it by name, but is led there.
  const { local } = c;
  await t.rejects(connect(local, 'a', 'test/1', { address: b.local.address }), {
    code: 'NTS_ERR_NODE_REVOKED',
  });
});

t.test('every certificate of a removed node is refused', async (t) => {
  const a = await startCluster(t, { services: [silent] });
  const b = await joinAndStart(t, a, 'b');
  const { key, cert } = b.local.secureOptions;
  await madeAt(a, b.local, Date.now());
  t.not(b.local.secureOptions.cert, cert);
  (await Authority.of(a.local, 'test')).remove('b');
  for (const options of [{ key, cert }, b.local.secureOptions]) {
    const socket = await connectAsStranger(addressOf(a), 'test/1', {
      key: options.key,
      cert: options.cert,
    });
    t.equal(await refusalOn(socket), 'NTS_ERR_NODE_REVOKED');
  }
});

t.test('a removal is kept over a restart, and by old lists', async (t) => {
  const a = await startCluster(t, { services: [silent] });
  const b = await joinAndStart(t, a, 'b');
  const before = a.local.membership.signed;
  (await Authority.of(a.local, 'test')).remove('b');
  await a.stop();
  const again = await startNode(t, a.state, { services: [silent] });
  t.notOk(again.local.membership.accept(before), 'an old list is no news');
  const socket = await connectAsStranger(addressOf(again), 'test/1', b.local.secureOptions);
  t.equal(await refusalOn(socket), 'NTS_ERR_NODE_REVOKED');
});

t.test('a node is the one that was asked for', async (t) => {
  const [a, b] = await pair(t, echo);
  const c = await joinAndStart(t, a, 'c', { services: [echo] });
  await agreed(a, b, c);
  await t.rejects(connect(a.local, 'b', 'test/1', { address: c.local.address }), {
    code: 'NTS_ERR_NOT_A_MEMBER',
    message: /is node c, not node b/,
  });
  await t.rejects(connect(a.local, 'nobody', 'test/1'), {
    code: 'NTS_ERR_UNKNOWN_NODE',
    message: /a, b, c/,
  });
});

t.test('a service that is not offered', async (t) => {
  const [a] = await pair(t, echo);
  await t.rejects(connect(a.local, 'b', 'other/1'), {
    code: 'NTS_ERR_PEER_REFUSED',
    message: /does not offer other\/1/,
  });
});

t.test('nobody there', async (t) => {
  const [a, b] = await pair(t, echo);
  await b.stop();
  await t.rejects(connect(a.local, 'b', 'test/1'), {
    code: 'NTS_ERR_PEER_UNREACHABLE',
    message: /nothing listens there/,
  });
});

t.test('somebody else there, or somebody who says nothing', async (t) => {
  const a = await startCluster(t);
  const b = await join(t, a, 'b');
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`;
  const local = await LocalNode.open(b);
  t.teardown(() => local.close());

  const mute = connect(local, 'a', 'test/1', { address, timeout: 100 });
  await t.rejects(mute, { code: 'NTS_ERR_PEER_UNREACHABLE', message: /not answered in 0.1 s/ });

  const abort = new AbortController();
  server.once('connection', () => abort.abort());
  const stopped = connect(local, 'a', 'test/1', { address, signal: abort.signal });
  await t.rejects(stopped, { code: 'NTS_ERR_CANCELLED' });
  const before = connect(local, 'a', 'test/1', { address, signal: AbortSignal.abort() });
  await t.rejects(before, { code: 'NTS_ERR_CANCELLED' });

  server.on('connection', (socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'));
  await t.rejects(connect(local, 'a', 'test/1', { address }), { code: 'NTS_ERR_PEER_PROTOCOL' });
});

t.test('a peer that takes nothing any more', async (t) => {
  const [a] = await pair(t, silent);
  const channel = await connect(a.local, 'b', 'test/1', { stall: 200 });
  const { stream } = channel;
  const failed = once(stream, 'error') as Promise<[Error]>;
  failed.catch(() => undefined);
  const chunk = Buffer.alloc(1 << 20);
  for (let i = 0; i < 64; i++) stream.write(chunk);
  await channel.closed;
  t.match(stream.errored, {
    code: 'NTS_ERR_PEER_UNREACHABLE',
    message: /node b has taken nothing for 0.2 s/,
  });
});

t.test('a peer that does not answer any more', async (t) => {
  // Answers the first word, and no other.
  const service = serviceOf(({ stream }) => {
    stream.once('data', () => void stream.write('yes'));
  });
  const [a] = await pair(t, service);
  const open = async (): Promise<Channel> => {
    const channel = await connect(a.local, 'b', 'test/1', { answer: 200 });
    channel.stream.write('are you there');
    const [answer] = (await once(channel.stream, 'data')) as [Buffer];
    t.equal(answer.toString(), 'yes');
    return channel;
  };
  const quiet = await open();
  const { stream, closed } = await open();
  stream.write('still');
  await closed;
  t.match(stream.errored, { code: 'NTS_ERR_PEER_UNREACHABLE', message: /not answered for 0.2 s/ });
  t.notOk(quiet.stream.destroyed, 'silence of both is no fault, though it is longer');
});

t.test('a silent connection is probed', { skip: process.platform !== 'linux' }, async (t) => {
  const [a, b] = await pair(t, silent);
  const { stream } = await connect(a.local, 'b', 'test/1');
  const { localPort, remotePort } = stream as unknown as { localPort: number; remotePort: number };
  // sl local remote st tx:rx tr:when: a running timer 02 is the one of keepalive, once all is acknowledged.
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
  const timer = (local: number, remote: number): string | undefined =>
    readFileSync('/proc/self/net/tcp', 'utf8')
      .split('\n')
      .map((row) => row.trim().split(/\s+/))
      .find((row) => row[1]?.endsWith(hex(local)) && row[2]?.endsWith(hex(remote)))?.[5]
      ?.slice(0, 2);
  for (const [local, remote] of [
    [localPort, remotePort],
    [remotePort, localPort],
  ] as const) {
    while (timer(local, remote) === '01') await new Promise(setImmediate);
    t.equal(timer(local, remote), '02');
  }
  t.equal(addressOf(b).port, remotePort);
});

t.test('a channel that nobody reads ends without harm to the process', async (t) => {
  const [a] = await pair(
    t,
    serviceOf((channel) => channel.close()),
  );
  const channel = await connect(a.local, 'b', 'test/1');
  await writeMessage(channel.stream, { any: 'thing' }).catch(() => undefined);
  channel.stream.resume();
  await channel.closed;
  t.ok(channel.stream.destroyed);
});

t.test('a node that is none', async (t) => {
  const state = path.join(temporaryFolder(t), 'x');
  await t.rejects(LocalNode.open(state), { code: 'NTS_ERR_NO_CLUSTER' });
});

t.test('a peer that takes little at a time is not taken for dead', async (t) => {
  const SIZE = 16 << 20;
  let received = 0;
  const slow = serviceOf(({ stream }) => {
    stream.on('data', (part: Buffer) => {
      received += part.length;
      stream.pause();
      setTimeout(() => stream.resume(), 1);
    });
    stream.once('end', () => stream.end());
  });
  const [a] = await pair(t, slow);
  const { stream, closed: gone } = await connect(a.local, 'b', 'test/1', { stall: 150 });
  const begun = performance.now();
  const chunks = Array.from({ length: SIZE >> 16 }, () => Buffer.alloc(1 << 16));
  await pipeline(Readable.from(chunks), stream, { end: true });
  stream.resume();
  await gone;
  t.ok(performance.now() - begun > 300, 'it took longer than the limit');
  t.equal(stream.errored, null);
  t.equal(received, SIZE);
});
