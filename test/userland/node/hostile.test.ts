/** Peers that speak nonsense, too much, too slowly or not at all: the listener serves the others on. */
import { once } from 'node:events';
import { type Socket, connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { connect } from '../../../userland/node/channel.js';
import { JOIN_SERVICE } from '../../../userland/node/join-protocol.js';
import type { ListenerLimits } from '../../../userland/node/listener.js';
import { encodeMessage } from '../../../userland/node/message.js';
import { NodeClient } from '../../../userland/node/node-client.js';
import { NODE_SERVICE } from '../../../userland/node/node-protocol.js';
import { type TestNode, addressOf, joinAndStart, startCluster, tokenOf, join } from './cluster.js';
import { closed, connectAsStranger, refusalOn } from './stranger.js';

t.setTimeout(120_000);

/** Minimal standard of Park and Miller: a failure names the seed that shows it again. */
function generator(seed: number): (most: number) => number {
  let state = seed;
  return (most) => (state = (state * 48271) % 2147483647) % most;
}

async function pair(t: Test, limits: ListenerLimits = {}): Promise<[TestNode, TestNode]> {
  const a = await startCluster(t, { limits });
  return [a, await joinAndStart(t, a, 'b')];
}

async function works(from: TestNode, to: string): Promise<boolean> {
  const { services } = await NodeClient.with(from.local, to, (client) => client.status());
  return services.every(({ state }) => state === 'running');
}

/** A valid message, changed in one of many ways, or nothing like a message. */
function nonsense(valid: object, seed: number): Buffer {
  const next = generator(seed + 1);
  const good = encodeMessage(valid);
  const random = Buffer.from(Array.from({ length: next(300) }, () => next(256)));
  const values = [null, -1, 1e300, 'x'.repeat(5000), [], {}, true, '\u0000', { __proto__: 1 }];
  switch (next(7)) {
    case 0:
      return random;
    case 1:
      return good.subarray(0, next(good.length));
    case 2: {
      const changed = Buffer.from(good);
      for (let i = 0; i <= next(8); i++) changed[next(changed.length)] = next(256);
      return changed;
    }
    case 3: {
      const keys = Object.keys(valid);
      const key = keys[next(keys.length)]!;
      return encodeMessage({ ...valid, [key]: values[next(values.length)] });
    }
    case 4:
      return encodeMessage(values[next(values.length)]);
    case 5: {
      const deep = Buffer.from('['.repeat(1 + next(3900)));
      const header = Buffer.alloc(4);
      header.writeUInt32BE(deep.length);
      return Buffer.concat([header, deep]);
    }
    default: {
      const header = Buffer.alloc(4);
      header.writeUInt32BE(0x80000000 + next(0x7fffffff));
      return Buffer.concat([header, random]);
    }
  }
}

/** Sends it, and waits until the other side has closed, or has said that it waits for more. */
async function send(socket: Duplex, bytes: Buffer): Promise<void> {
  socket.end(bytes);
  await closed(socket);
}

const ROUNDS = 150;

async function fuzz(
  valid: object,
  open: () => Promise<Duplex>,
  check: () => Promise<boolean>,
): Promise<string[]> {
  const problems: string[] = [];
  const seeds = Array.from({ length: ROUNDS }, (_, seed) => seed);
  const worker = async (): Promise<void> => {
    for (let seed = seeds.pop(); seed !== undefined; seed = seeds.pop()) {
      await send(await open(), nonsense(valid, seed));
      if (seed % 25 === 0 && !(await check())) problems.push(`seed ${seed}`);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
  return problems;
}

t.test('nonsense from a member, before a service has the channel', async (t) => {
  const [a, b] = await pair(t);
  const hello = { hello: 1, time: Date.now(), digest: a.local.membership.digest };
  const open = (): Promise<TLSSocket> =>
    connectAsStranger(addressOf(a), NODE_SERVICE, b.local.secureOptions);
  t.same(await fuzz(hello, open, () => works(b, 'a')), []);
});

t.test('nonsense from a member to the service of nodes', async (t) => {
  const [a, b] = await pair(t);
  const valid = [
    { ask: 'exchange', documents: b.local.membership.signed },
    { ask: 'renew', publicKey: 'AAAA', proof: 'AAAA' },
    { ask: 'address', address: '127.0.0.1:1' },
    { ask: 'status' },
  ];
  const before = a.local.membership.content.nodes.map(({ name }) => name);
  const open = async (): Promise<Duplex> => (await connect(b.local, 'a', NODE_SERVICE)).stream;
  for (const request of valid) t.same(await fuzz(request, open, () => works(b, 'a')), []);
  t.same(
    a.local.membership.content.nodes.map(({ name }) => name),
    before,
  );
});

t.test('nonsense from a stranger who would join', async (t) => {
  const [a, b] = await pair(t);
  const some = Buffer.alloc(91).toString('base64');
  const request = {
    ...{ join: 1, token: some, mac: some, publicKey: some, proof: some },
    ...{ name: 'x', address: '127.0.0.1:1', time: Date.now() },
  };
  const open = (): Promise<TLSSocket> => connectAsStranger(addressOf(a), JOIN_SERVICE);
  t.same(await fuzz(request, open, () => works(b, 'a')), []);
  await join(t, a, 'c', { token: await tokenOf(a) });
  t.equal(a.local.membership.content.nodes.length, 3);
});

t.test('a message that is announced as too long is refused before it comes', async (t) => {
  const [a, b] = await pair(t);
  const huge = Buffer.from([0xff, 0xff, 0xff, 0xff]);
  const sockets = await Promise.all([
    connectAsStranger(addressOf(a), JOIN_SERVICE),
    connectAsStranger(addressOf(a), NODE_SERVICE, b.local.secureOptions),
  ]);
  for (const socket of sockets) {
    socket.write(huge);
    t.equal(await refusalOn(socket), 'NTS_ERR_PEER_PROTOCOL');
    await closed(socket);
  }
  const { stream } = await connect(b.local, 'a', NODE_SERVICE);
  stream.write(huge);
  t.equal(await refusalOn(stream), 'NTS_ERR_PEER_PROTOCOL');
});

t.test('nothing that is TLS', async (t) => {
  const [a, b] = await pair(t);
  const next = generator(7);
  const texts = ['GET / HTTP/1.1\r\n\r\n', '\u0016\u0003\u0001\u0000', ''];
  for (let i = 0; i < 60; i++) {
    const socket = await tcp(a);
    const random = Buffer.from(Array.from({ length: next(600) }, () => next(256)));
    socket.end(texts[i] ?? random);
    await gone(socket);
  }
  t.ok(await works(b, 'a'));
});

async function tcp(to: TestNode, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connectTcp({ ...addressOf(to), localAddress });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

async function gone(socket: Socket): Promise<void> {
  socket.resume();
  if (!socket.closed) await once(socket, 'close');
}

t.test('who says nothing is sent away', async (t) => {
  const [a, b] = await pair(t, { admission: 300 });
  const raw = await tcp(a);
  const halfway = await connectAsStranger(addressOf(a), JOIN_SERVICE);
  const member = await connectAsStranger(addressOf(a), NODE_SERVICE, b.local.secureOptions);
  // A byte now and then does not help.
  const drip = setInterval(() => void member.write('\0'), 50);
  await Promise.all([gone(raw), closed(halfway), closed(member)]);
  clearInterval(drip);
  t.ok(await works(b, 'a'));
});

t.test('strangers take no more than their share', async (t) => {
  const [a, b] = await pair(t, { strangers: 6, strangersByAddress: 4, admission: 60_000 });
  const open = async (count: number, from: string): Promise<Socket[]> => {
    const all: Socket[] = [];
    for (let i = 0; i < count; i++) all.push(await tcp(a, from));
    return all;
  };
  // Members from an address do not count once they are known.
  const members = await Promise.all(
    Array.from({ length: 4 }, () => connect(b.local, 'a', NODE_SERVICE)),
  );
  const first = await open(4, '127.0.0.2');
  const [fifth] = await open(1, '127.0.0.2');
  await gone(fifth!);
  t.ok(first.every((socket) => !socket.destroyed));
  t.ok(await works(b, 'a'), 'from another address there is room');
  await open(2, '127.0.0.3');
  await t.rejects(connect(b.local, 'a', NODE_SERVICE), { code: 'NTS_ERR_PEER_UNREACHABLE' });
  first[0]!.destroy();
  await gone(first[0]!);
  let again = false;
  // The listener hears of it a moment later.
  while (!again) again = await works(b, 'a').catch(() => false);
  t.ok(again, 'room is given back');
  for (const channel of members) channel.close();
});
