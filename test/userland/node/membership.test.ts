/** The list of nodes among nodes, certificates over time, and the CA's key on several nodes. */
import type { KeyObject } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { z } from 'zod';
import { exchangeWithAll, isRenewalDue, renewCertificate } from '../../../userland/node/agent.js';
import { Authority } from '../../../userland/node/authority.js';
import { dropCaKey, readCaKey, writeCaKey } from '../../../userland/node/ca-transfer.js';
import { connect } from '../../../userland/node/channel.js';
import { DAY, MINUTE } from '../../../userland/node/clock.js';
import { newKey, publicKeyOf, signWith } from '../../../userland/node/keys.js';
import { LocalNode } from '../../../userland/node/local-node.js';
import { readMessage, writeMessage } from '../../../userland/node/message.js';
import { NodeClient } from '../../../userland/node/node-client.js';
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
  testClock,
  tokenOf,
} from './cluster.js';

const authorityOf = ({ local }: TestNode): Promise<Authority> => Authority.of(local, 'test');

t.test('who was away learns of it from anybody', async (t) => {
  const a = await startCluster(t);
  const b = await joinAndStart(t, a, 'b');
  const c = await joinAndStart(t, a, 'c');
  const d = await joinAndStart(t, a, 'd');
  await agreed(a, b, c, d);
  await c.stop();
  (await authorityOf(a)).remove('d');
  await agreed(a, b);
  await a.stop();
  // a is gone; b knows.
  const again = await startAgain(t, c);
  await agreed(b, again);
  t.same(again.local.membership.names, ['a', 'b', 'c']);
  await t.rejects(connect(d.local, 'c', 'ntswift-node/1', { address: again.local.address }), {
    code: 'NTS_ERR_NODE_REVOKED',
  });
});

t.test('a channel between two whose lists differ brings them together', async (t) => {
  const nothing = (): Promise<void> => Promise.resolve();
  const service: Service = {
    name: 'test/1',
    start: nothing,
    stop: nothing,
    handle: () => undefined,
  };
  const a = await startCluster(t, { services: [service] });
  const b = await joinAndStart(t, a, 'b');
  await b.stop();
  await join(t, a, 'c');
  // Not started, hence nobody tells it, nor does it ask.
  const local = await LocalNode.open(b.state);
  t.teardown(() => local.close());
  t.same(local.membership.names, ['a', 'b']);
  const differs: string[] = [];
  local.on('differs', (node) => void differs.push(node));
  const channel = await connect(local, 'a', 'test/1');
  t.ok(channel.peer.differs);
  t.same(differs, ['a']);
  channel.close();
  await exchangeWithAll(local);
  t.same(local.membership.names, ['a', 'b', 'c']);
});

t.test('another process of the same node', async (t) => {
  const a = await startCluster(t);
  const b = await joinAndStart(t, a, 'b');
  const other = await LocalNode.open(a.state);
  t.teardown(() => other.close());
  const channel = await connect(b.local, 'a', 'ntswift-node/1');
  (await Authority.of(other, 'test')).remove('b');
  await t.rejects(connect(b.local, 'a', 'ntswift-node/1'), { code: 'NTS_ERR_NODE_REVOKED' });
  // What the command does: it tells the service, which then ends the channels of the removed node.
  const told = await exchangeWithAll(other, ['a']);
  t.same(told, [{ node: 'a', error: null }]);
  channel.stream.resume();
  await channel.closed;
  t.pass('closed');
});

t.test('a list that is not of this cluster is refused', async (t) => {
  const a = await startCluster(t);
  const b = await startCluster(t);
  const foreign = b.local.membership.signed;
  t.throws(() => a.local.membership.accept(foreign), { code: 'NTS_ERR_WRONG_CLUSTER' });
  const [own] = a.local.membership.signed;
  const changed = [{ ...own!, text: own!.text.replace('"name":"a"', '"name":"z"') }];
  t.throws(() => a.local.membership.accept(changed), { code: 'NTS_ERR_WRONG_CLUSTER' });
  t.same(a.local.membership.names, ['a']);
});

t.test('a certificate is renewed when a third of its life is left', async (t) => {
  const a = await startCluster(t, { lifetime: 30 * DAY });
  const clock = testClock();
  const b = await joinAndStart(t, a, 'b', { clock: clock.read });
  const { serial, notAfter } = b.local.identity;
  t.ok(Math.abs(notAfter - Date.now() - 30 * DAY) < DAY);
  clock.now += 19 * DAY;
  t.notOk(isRenewalDue(b.local));
  clock.now += 2 * DAY;
  t.ok(isRenewalDue(b.local));
  const key = readFileSync(path.join(b.state, 'cluster/node.json'), 'utf8');
  await b.stop();
  // Its clock is ahead, which the certificate does not mind; the agent renews at its first round.
  const again = await startNode(t, b.state, { clock: clock.read });
  while (again.local.identity.serial === serial) await new Promise(setImmediate);
  t.equal(again.local.identity.id, b.local.id, 'the same node');
  t.equal(again.local.identity.name, 'b');
  t.not(readFileSync(path.join(b.state, 'cluster/node.json'), 'utf8'), key, 'a new key');
  const channel = await connect(a.local, 'b', 'ntswift-node/1', { address: again.local.address });
  t.equal(channel.peer.serial, again.local.identity.serial, 'which the listener shows');
  channel.close();
});

t.test("who holds the CA's key renews its own", async (t) => {
  const a = await startCluster(t);
  const before = a.local.identity.serial;
  await renewCertificate(a.local);
  t.not(a.local.identity.serial, before);
  const b = await joinAndStart(t, a, 'b');
  await a.stop();
  await t.rejects(renewCertificate(b.local), { code: 'NTS_ERR_PEER_UNREACHABLE' });
});

/** At the address that it had. */
function startAgain(t: Test, node: TestNode): Promise<TestNode> {
  const place = addressOf(node);
  return startNode(t, node.state, { listen: place, address: place });
}

async function give(t: Test, from: TestNode, to: TestNode): Promise<void> {
  const file = path.join(temporaryFolder(t), 'ca.json');
  await writeCaKey(from.local, file, 'secret words');
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.notMatch(readFileSync(file, 'utf8'), 'BEGIN PRIVATE KEY');
  await t.rejects(readCaKey(to.local, file, null), {
    code: 'NTS_ERR_FILE_READ',
    message: /passphr/,
  });
  await t.rejects(readCaKey(to.local, file, 'x'), {
    code: 'NTS_ERR_FILE_READ',
    message: /passphr/,
  });
  await to.local.folder.saveCa(await readCaKey(to.local, file, 'secret words'));
  (await authorityOf(to)).setAuthority(to.local.id, true);
}

t.test("the CA's key moves to another node", async (t) => {
  const a = await startCluster(t);
  const b = await joinAndStart(t, a, 'b');
  await give(t, a, b);
  await dropCaKey(a.local, await authorityOf(a));
  t.equal(await a.local.loadCa(), null);
  await agreed(a, b);
  t.same(
    a.local.membership.authorities.map(({ name }) => name),
    ['b'],
  );
  await t.rejects(join(t, a, 'c', { token: await tokenOf(b) }), { code: 'NTS_ERR_NO_AUTHORITY' });
  await join(t, b, 'c');
  await renewCertificate(a.local);
  t.pass('and renews what it did not issue');
});

t.test('a file that is none, or of another cluster', async (t) => {
  const a = await startCluster(t);
  const b = await startCluster(t);
  const file = path.join(temporaryFolder(t), 'ca.json');
  await writeCaKey(b.local, file, null);
  await t.rejects(readCaKey(a.local, file, null), { code: 'NTS_ERR_WRONG_CLUSTER' });
  await t.rejects(writeCaKey(a.local, file, null), { code: 'NTS_ERR_FILE_WRITE' }, 'not over it');
  writeFileSync(file, '{}');
  await t.rejects(readCaKey(a.local, file, null), { code: 'NTS_ERR_FILE_READ' });
  // As a crash between init and its end may leave it: the key of no cluster that this node is in.
  await a.local.folder.saveCa((await b.local.loadCa())!);
  t.equal(await a.local.loadCa(), null);
});

t.test("two hold the CA's key, and both act at once", async (t) => {
  const a = await startCluster(t);
  const b = await joinAndStart(t, a, 'b');
  await join(t, a, 'c');
  await join(t, a, 'd');
  await give(t, a, b);
  await agreed(a, b);
  await Promise.all([a.stop(), b.stop()]);
  // Neither hears of the other: each removes another node, and admits one by the same name.
  const one = await LocalNode.open(a.state, () => Date.now());
  const two = await LocalNode.open(b.state, () => Date.now() + MINUTE);
  for (const [local, removed] of [
    [one, 'c'],
    [two, 'd'],
  ] as const) {
    const authority = await Authority.of(local, 'test');
    authority.remove(removed);
  }
  one.close();
  two.close();
  const first = await startAgain(t, a);
  const second = await startAgain(t, b);
  await agreed(first, second);
  for (const { local } of [first, second]) t.same(local.membership.names, ['a', 'b']);
  // The agents of both have put the lists together, and come to the same one.
  while (first.local.membership.signed.length > 1) await new Promise(setImmediate);
  await agreed(first, second);
});

t.test('of two nodes by one name the later one goes', async (t) => {
  const a = await startCluster(t);
  const b = await joinAndStart(t, a, 'b');
  await give(t, a, b);
  await agreed(a, b);
  await Promise.all([a.stop(), b.stop()]);
  const states: string[] = [];
  for (const one of [a, b]) {
    // Each knows nothing of what the other admits.
    const node = await startAgain(t, one);
    states.push(await join(t, node, 'twin'));
    await node.stop();
  }
  const [first, second] = [await startAgain(t, a), await startAgain(t, b)];
  await agreed(first, second);
  while (first.local.membership.content.removed.length === 0) await new Promise(setImmediate);
  await agreed(first, second);
  const twins = await Promise.all(states.map((state) => LocalNode.open(state)));
  const { membership } = first.local;
  t.same(
    twins.map(({ id }) => membership.isRemoved(id)),
    [false, true],
  );
  t.equal(membership.byName('twin')?.id, twins[0]!.id);
  for (const twin of twins) twin.close();
  t.ok(existsSync(path.join(states[1]!, 'cluster/node.json')));
});

t.test('a certificate only for a key that the node has', async (t) => {
  const a = await startCluster(t);
  const b = await joinAndStart(t, a, 'b');
  const mine = newKey();
  const publicKey = publicKeyOf(mine).toString('base64');
  const serial = Buffer.from(b.local.identity.serial, 'hex');
  const ask = async (key: KeyObject, data: Buffer): Promise<string> => {
    const { stream } = await connect(b.local, 'a', 'ntswift-node/1');
    const proof = signWith(key, 'ntswift possession 1', data).toString('base64');
    await writeMessage(stream, { ask: 'renew', publicKey, proof });
    const schema = z.object({ refused: z.string().optional() });
    return (await readMessage(stream, schema, 65536)).refused ?? 'renewed';
  };
  t.equal(await ask(newKey(), serial), 'NTS_ERR_PEER_PROTOCOL');
  t.equal(await ask(mine, Buffer.from(a.local.identity.serial, 'hex')), 'NTS_ERR_PEER_PROTOCOL');
  t.equal(await ask(mine, serial), 'renewed');
});

t.test('a node speaks for itself alone', async (t) => {
  const a = await startCluster(t);
  const b = await joinAndStart(t, a, 'b');
  const before = a.local.address;
  await NodeClient.with(b.local, 'a', (client) => client.setAddress('127.0.0.1:9'));
  t.equal(a.local.membership.byName('b')?.address, '127.0.0.1:9');
  t.equal(a.local.membership.byName('a')?.address, before);
});
