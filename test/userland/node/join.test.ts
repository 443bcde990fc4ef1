/** How a node joins, and who does not. */
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { type AddressInfo } from 'node:net';
import path from 'node:path';
import { type TLSSocket, createServer } from 'node:tls';
import t, { type Test } from 'tap';
import { z } from 'zod';
import { Authority } from '../../../userland/node/authority.js';
import { MINUTE } from '../../../userland/node/clock.js';
import { NodeFolder } from '../../../userland/node/identity.js';
import { initCluster } from '../../../userland/node/init.js';
import {
  JOIN_ANSWER_LIMIT,
  JOIN_REQUEST_LIMIT,
  JOIN_SERVICE,
  joinRequestSchema,
  transcriptOf,
} from '../../../userland/node/join-protocol.js';
import { joinCluster } from '../../../userland/node/join.js';
import { newKey, publicKeyOf, signWith } from '../../../userland/node/keys.js';
import { LocalNode } from '../../../userland/node/local-node.js';
import { readMessage, writeMessage } from '../../../userland/node/message.js';
import {
  formatToken,
  newSecret,
  parseToken,
  tokenId,
  tokenMac,
  tokenVerifier,
} from '../../../userland/node/token.js';
import { temporaryFolder } from '../../native/temporary.js';
import {
  type TestNode,
  addressOf,
  agreed,
  join,
  joinAndStart,
  startCluster,
  startNode,
  testClock,
  tokenOf,
} from './cluster.js';
import { connectAsStranger } from './stranger.js';

async function names({ state }: { state: string }): Promise<string[]> {
  const local = await LocalNode.open(state);
  const { nodes } = local.membership.content;
  local.close();
  return nodes.map(({ name }) => name).sort();
}

t.test('a cluster grows', async (t) => {
  const a = await startCluster(t);
  const b = await joinAndStart(t, a, 'b');
  const c = await joinAndStart(t, a, 'c');
  await agreed(a, b, c);
  for (const node of [a, b, c]) t.same(await names(node), ['a', 'b', 'c']);
  t.equal(b.local.cluster.fingerprint, a.local.cluster.fingerprint);
  t.equal(b.local.membership.byName('c')?.address, c.local.address);
  t.same(
    c.local.membership.authorities.map(({ name }) => name),
    ['a'],
  );
  t.equal(await b.local.loadCa(), null, "the CA's key has stayed where it was");
});

t.test('what is kept is private', async (t) => {
  const a = await startCluster(t);
  const token = await tokenOf(a);
  const state = await join(t, a, 'b', { token });
  for (const folder of [a.state, state]) {
    t.equal(statSync(path.join(folder, 'cluster')).mode & 0o777, 0o700);
    t.equal(statSync(path.join(folder, 'cluster/node.json')).mode & 0o777, 0o600);
  }
  t.equal(statSync(path.join(a.state, 'cluster/ca.json')).mode & 0o777, 0o600);
  t.notOk(existsSync(path.join(state, 'cluster/ca.json')));
  t.notOk(existsSync(path.join(state, 'cluster/pending.json')));
  const { secret } = parseToken(token);
  for (const name of ['ntswift.db', 'ntswift.db-wal']) {
    const bytes = readFileSync(path.join(a.state, name));
    t.equal(bytes.indexOf(secret), -1, `${name} does not hold the token's secret`);
  }
});

t.test('nothing is made over a node', async (t) => {
  const a = await startCluster(t);
  const again = { cluster: 'other', node: 'a', address: '127.0.0.1:1' };
  await t.rejects(initCluster(a.state, again), { code: 'NTS_ERR_CLUSTER_EXISTS' });
  const b = await startCluster(t);
  const options = { token: await tokenOf(b), name: 'x', address: '127.0.0.1:1' };
  await t.rejects(joinCluster(a.state, addressOf(b), options), { code: 'NTS_ERR_CLUSTER_EXISTS' });
  t.same(await names(b), ['a']);
});

t.test('a token that is good for nothing', async (t) => {
  const a = await startCluster(t);
  const { cluster } = parseToken(await tokenOf(a));
  const unknown = formatToken({ cluster, secret: newSecret() });
  await t.rejects(join(t, a, 'b', { token: unknown }), { code: 'NTS_ERR_TOKEN_UNKNOWN' });
  await t.rejects(join(t, a, 'b', { token: 'ntsj1.abc' }), { code: 'NTS_ERR_USAGE' });
  t.same(await names(a), ['a']);
});

t.test('a token admits one node', async (t) => {
  const a = await startCluster(t);
  const token = await tokenOf(a);
  await join(t, a, 'b', { token });
  await t.rejects(join(t, a, 'c', { token }), { code: 'NTS_ERR_TOKEN_USED', message: /node b/ });
  await t.rejects(join(t, a, 'b', { token }), { code: 'NTS_ERR_TOKEN_USED' }, 'another key');
  t.same(await names(a), ['a', 'b']);
});

t.test('a token expires', async (t) => {
  const clock = testClock();
  const a = await startCluster(t, { clock: clock.read });
  const token = await tokenOf(a, MINUTE);
  clock.now += MINUTE - 1;
  await join(t, a, 'b', { token });
  const next = await tokenOf(a, MINUTE);
  clock.now += MINUTE;
  await t.rejects(join(t, a, 'c', { token: next }), { code: 'NTS_ERR_TOKEN_EXPIRED' });
  t.same(await names(a), ['a', 'b']);
});

t.test('of many who come at once with one token, one gets in', async (t) => {
  const a = await startCluster(t);
  for (let round = 0; round < 5; round++) {
    const token = await tokenOf(a);
    const tries = ['b', 'c', 'd', 'e'].map((name) => join(t, a, `${name}${round}`, { token }));
    const results = await Promise.allSettled(tries);
    const refused = results.flatMap((one) =>
      one.status === 'rejected' ? [(one.reason as { code: string }).code] : [],
    );
    t.same(refused, Array(3).fill('NTS_ERR_TOKEN_USED'));
    t.equal((await names(a)).length, round + 2);
  }
});

t.test('two who come at once for one name', async (t) => {
  const a = await startCluster(t);
  const results = await Promise.allSettled([join(t, a, 'b'), join(t, a, 'B')]);
  t.same(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  t.equal((await names(a)).length, 2);
  const token = await tokenOf(a);
  await t.rejects(join(t, a, 'a', { token }), { code: 'NTS_ERR_NAME_TAKEN' });
  await join(t, a, 'c', { token });
  t.pass('a refusal for the name leaves the token good');
});

t.test('who did not hear the answer asks again, and is the same node', async (t) => {
  const a = await startCluster(t);
  const token = await tokenOf(a);
  const state = path.join(temporaryFolder(t), 'b');
  await join(t, a, 'b', { token, state });
  const folder = new NodeFolder(state);
  const first = await folder.load();
  const before = a.local.membership.digest;
  // As after a crash between the answer and its being written.
  await folder.clear();
  await folder.savePending(first.fingerprint, first.key);
  await join(t, a, 'b', { token, state });
  const second = await folder.load();
  t.equal(second.identity.serial, first.identity.serial);
  t.equal(a.local.membership.digest, before);
  t.notOk(existsSync(path.join(state, 'cluster/pending.json')));

  await folder.clear();
  await folder.savePending(first.fingerprint, first.key);
  const spare = await tokenOf(a);
  await join(t, a, 'b', { token: spare, state });
  t.equal((await folder.load()).identity.serial, first.identity.serial, 'with another token too');
  await join(t, a, 'c', { token: spare });
  t.pass('which was not needed, and is still good');

  (await Authority.of(a.local, 'test')).remove('b');
  await folder.clear();
  await folder.savePending(first.fingerprint, first.key);
  await t.rejects(join(t, a, 'b', { token, state }), { code: 'NTS_ERR_TOKEN_USED' }, 'not after');
  await join(t, a, 'b', { state });
  t.not((await folder.load()).identity.id, first.identity.id, 'a new node by the old name');
});

t.test('a token tells the cluster that it is for', async (t) => {
  const a = await startCluster(t, { cluster: 'same' });
  const other = await startCluster(t, { cluster: 'same' });
  const token = await tokenOf(a);
  const wrong = join(t, other, 'b', { token });
  await t.rejects(wrong, { code: 'NTS_ERR_WRONG_CLUSTER' });
  t.same(await names(other), ['a']);
  await join(t, a, 'b', { token });
});

t.test("a node without the CA's key says who has it", async (t) => {
  const a = await startCluster(t);
  const b = await joinAndStart(t, a, 'b');
  const token = await tokenOf(a);
  const { local } = a;
  const message = new RegExp(`a \\(${local.address}\\)`);
  await t.rejects(join(t, b, 'c', { token }), { code: 'NTS_ERR_NO_AUTHORITY', message });
  await t.rejects(tokenOf(b), { code: 'NTS_ERR_NO_AUTHORITY', message });
  await join(t, a, 'c', { token });
});

t.test('clocks that differ', async (t) => {
  const a = await startCluster(t);
  for (const minutes of [-6, 6]) {
    const clock = (): number => Date.now() + minutes * MINUTE;
    const token = await tokenOf(a);
    await t.rejects(join(t, a, 'b', { token, clock }), { code: 'NTS_ERR_CLOCK_SKEW' });
    const closer = (): number => Date.now() + (minutes / 6) * 4 * MINUTE;
    await join(t, a, `b${minutes + 6}`, { token, clock: closer });
  }
  t.equal((await names(a)).length, 3);
});

t.test('nobody there, or somebody else', async (t) => {
  const a = await startCluster(t);
  const token = await tokenOf(a);
  const to = addressOf(a);
  await a.stop();
  const options = { token, name: 'b', address: '127.0.0.1:1' };
  const state = path.join(temporaryFolder(t), 'b');
  await t.rejects(joinCluster(state, to, options), { code: 'NTS_ERR_PEER_UNREACHABLE' });
  const again = await startNode(t, a.state);
  await joinCluster(state, addressOf(again), options);
  t.same(await names({ state }), ['a', 'b'], 'the same call, once it is there');
});

/** A member, or one that was, that poses as the holder of the CA's key and passes on what it hears. */
async function impostor(t: Test, { local }: TestNode, real: TestNode) {
  const seen: object[] = [];
  const relay = async (socket: TLSSocket): Promise<void> => {
    socket.on('error', () => undefined);
    const request = await readMessage(socket, joinRequestSchema, JOIN_REQUEST_LIMIT);
    seen.push(request);
    const onward = await connectAsStranger(addressOf(real), JOIN_SERVICE);
    await writeMessage(onward, request);
    onward.pipe(socket);
  };
  const server = createServer(
    { ...local.secureOptions, ALPNProtocols: [JOIN_SERVICE] },
    (socket) => void relay(socket).catch(() => socket.destroy()),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return { endpoint: { host: '127.0.0.1', port: (server.address() as AddressInfo).port }, seen };
}

t.test('what a node says to an impostor is of no use to that', async (t) => {
  const a = await startCluster(t);
  const b = await joinAndStart(t, a, 'b');
  const { endpoint, seen } = await impostor(t, b, a);
  const token = await tokenOf(a);
  const state = path.join(temporaryFolder(t), 'c');
  const options = { token, name: 'c', address: '127.0.0.1:1' };
  // Neither the MAC nor the proof is right on the connection of the impostor.
  await t.rejects(joinCluster(state, endpoint, options), { code: 'NTS_ERR_PEER_PROTOCOL' });
  t.equal(seen.length, 1);
  t.notMatch(JSON.stringify(seen), parseToken(token).secret.toString('base64'));
  t.same(await names(a), ['a', 'b']);
  await joinCluster(state, addressOf(a), options);
  t.same(await names(a), ['a', 'b', 'c'], 'and the token is still good');
});

t.test('who knows the name of a token, but not its secret', async (t) => {
  const a = await startCluster(t);
  const token = await tokenOf(a);
  const { secret } = parseToken(token);
  const key = newKey();
  const publicKey = publicKeyOf(key);
  const ask = async (verifier: Buffer): Promise<string> => {
    const socket = await connectAsStranger(addressOf(a), JOIN_SERVICE);
    const request = { name: 'x', address: '127.0.0.1:1', publicKey };
    const transcript = transcriptOf(socket, request);
    await writeMessage(socket, {
      ...{ join: 1, ...request, publicKey: publicKey.toString('base64'), time: Date.now() },
      token: tokenId(secret).toString('base64'),
      mac: tokenMac(verifier, transcript).toString('base64'),
      proof: signWith(key, 'ntswift possession 1', transcript).toString('base64'),
    });
    const schema = z.object({ refused: z.string().optional() });
    return (await readMessage(socket, schema, JOIN_ANSWER_LIMIT)).refused ?? 'joined';
  };
  t.equal(await ask(tokenId(secret)), 'NTS_ERR_TOKEN_UNKNOWN');
  t.equal(await ask(newSecret()), 'NTS_ERR_TOKEN_UNKNOWN');
  t.same(await names(a), ['a']);
  t.equal(await ask(tokenVerifier(secret)), 'joined');
});
