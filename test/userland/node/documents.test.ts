/** Tokens, names, certificates, and the list of nodes as a document. */
import { X509Certificate, randomBytes } from 'node:crypto';
import t from 'tap';
import { createCa, createNodeCertificate, newNodeId } from '../../../userland/node/certificate.js';
import { DAY, MINUTE, parseDuration } from '../../../userland/node/clock.js';
import { newKey, parsePublicKey, publicKeyOf, signWith } from '../../../userland/node/keys.js';
import {
  type Content,
  type Document,
  type NodeEntry,
  digest,
  merge,
  reduce,
  signDocument,
  verifyDocument,
  view,
} from '../../../userland/node/membership-document.js';
import { formatEndpoint, isNodeName, parseEndpoint } from '../../../userland/node/names.js';
import { identityOf, requireValidAt } from '../../../userland/node/peer.js';
import {
  formatToken,
  isTokenMac,
  newSecret,
  parseToken,
  tokenId,
  tokenMac,
  tokenVerifier,
} from '../../../userland/node/token.js';
import { rsaKey } from './cluster.js';

t.test('a token is whole or refused', (t) => {
  const cluster = randomBytes(32).toString('hex');
  const secret = newSecret();
  const text = formatToken({ cluster, secret });
  t.same(parseToken(`${text}\n`), { cluster, secret });
  for (let i = 0; i < text.length; i++) {
    t.throws(() => parseToken(text.slice(0, i)), { code: 'NTS_ERR_USAGE' }, `cut at ${i}`);
    // The last characters carry bits that no byte needs.
    const other = text[i] === 'A' ? 'k' : 'A';
    const changed = text.slice(0, i) + other + text.slice(i + 1);
    t.throws(() => parseToken(changed), { code: 'NTS_ERR_USAGE' }, `changed at ${i}`);
  }
  t.notSame(tokenId(secret), tokenVerifier(secret));
  const verifier = tokenVerifier(secret);
  const transcript = randomBytes(32);
  const mac = tokenMac(verifier, transcript);
  t.ok(isTokenMac(verifier, transcript, mac));
  t.notOk(isTokenMac(verifier, randomBytes(32), mac));
  t.notOk(isTokenMac(verifier, transcript, mac.subarray(1)));
  t.end();
});

t.test('names, addresses, durations', (t) => {
  const addresses: [string, string | null][] = [
    ['10.0.0.1', '10.0.0.1:7770'],
    ['alpha.example:81', 'alpha.example:81'],
    ['fd00::1', '[fd00::1]:7770'],
    ['[fd00::1]:80', '[fd00::1]:80'],
    ['[fd00::1]', '[fd00::1]:7770'],
    ['[10.0.0.1]:80', null],
    ['fd00::1:70000', null],
    ['alpha:65536', null],
    ['alpha:', null],
    ['', null],
    ['a b', null],
    ['a/b', null],
    ['-a', null],
  ];
  for (const [text, expected] of addresses) {
    const parsed = parseEndpoint(text);
    t.equal(parsed && formatEndpoint(parsed), expected, text);
  }
  t.same(['a', 'A-1_b.c', 'x'.repeat(63)].map(isNodeName), [true, true, true]);
  const bad = ['', '-a', 'a b', 'ä', 'x'.repeat(64), 'a\n', 'a,CN=b', 'a/b'];
  t.same(bad.filter(isNodeName), []);
  t.same(['90s', '10m', '2h', '7d', '1', 'm', '-1m', '1.5h', '9999999s'].map(parseDuration), [
    90_000,
    10 * MINUTE,
    120 * MINUTE,
    7 * DAY,
    ...Array<null>(5).fill(null),
  ]);
  t.end();
});

t.test('certificates say who their holder is, and nothing else does', async (t) => {
  const now = Date.now();
  const caKey = newKey();
  const ca = await createCa(caKey, 'test', now);
  const otherKey = newKey();
  const other = await createCa(otherKey, 'test', now);
  const id = newNodeId();
  const make = (options: object = {}): Promise<X509Certificate> =>
    createNodeCertificate({
      ...{ caKey, ca, name: 'a', id, publicKey: publicKeyOf(newKey()), now, ...options },
    });
  const certificate = await make();
  const identity = identityOf(certificate, ca);
  t.match(identity, { name: 'a', id });
  t.match(identity.serial, new RegExp(`^${id}[0-9a-f]{16}$`));
  t.equal(identity.notAfter, Math.floor((now + 365 * DAY) / 1000) * 1000);
  t.not((await make()).serialNumber, certificate.serialNumber);
  t.throws(() => identityOf(certificate, other), { code: 'NTS_ERR_WRONG_CLUSTER' });
  t.throws(() => identityOf(ca, ca), { code: 'NTS_ERR_NOT_A_MEMBER' });
  // Signed by another key in the name of this CA.
  const forged = await make({ caKey: otherKey });
  t.throws(() => identityOf(forged, ca), { code: 'NTS_ERR_WRONG_CLUSTER' });

  const judge = (time: number) => (): void => requireValidAt(identity, time, 'it');
  t.doesNotThrow(judge(now - 4 * MINUTE), 'clocks may differ a little');
  t.throws(judge(now - 6 * MINUTE), { code: 'NTS_ERR_CLOCK_SKEW' });
  t.doesNotThrow(judge(now + 364 * DAY));
  t.throws(judge(now + 366 * DAY), { code: 'NTS_ERR_CERTIFICATE_EXPIRED' });

  const late = await make({ now: now + 3652 * DAY });
  t.equal(late.validTo, ca.validTo, 'no certificate outlives its CA');
  t.throws(() => parsePublicKey(rsaKey()), { code: 'NTS_ERR_PEER_PROTOCOL' });
  t.throws(() => parsePublicKey(randomBytes(91)), { code: 'NTS_ERR_PEER_PROTOCOL' });
});

const cluster = 'ab'.repeat(32);
const caKey = newKey();

function entry(id: number, changes: Partial<NodeEntry> = {}): NodeEntry {
  const base = { name: `n${id}`, address: `10.0.0.${id}:7770`, authority: false, joined: id };
  return {
    id: `40000000000000${id.toString(16).padStart(2, '0')}`,
    ...base,
    revision: 1,
    ...changes,
  };
}

function content(version: number, nodes: NodeEntry[], gone: number[] = []): Content {
  const removed = gone.map((id) => ({ id: entry(id).id, name: `n${id}`, removed: 1 }));
  return { cluster, name: 'test', version, nodes, removed };
}

t.test('a document is signed by the CA, for this cluster', (t) => {
  const { signed } = signDocument(content(1, [entry(1)]), caKey);
  t.match(verifyDocument(signed, cluster, caKey).content, { version: 1, nodes: [entry(1)] });
  const rejects = (one: typeof signed, code: string, key = caKey, of = cluster): void =>
    void t.throws(() => verifyDocument(one, of, key), { code });
  rejects(signed, 'NTS_ERR_WRONG_CLUSTER', newKey());
  rejects({ ...signed, text: signed.text.replace('n1', 'n2') }, 'NTS_ERR_WRONG_CLUSTER');
  rejects({ ...signed, signature: '' }, 'NTS_ERR_WRONG_CLUSTER');
  rejects(signed, 'NTS_ERR_PEER_PROTOCOL', caKey, 'cd'.repeat(32));
  // What the CA's key signs for another purpose is no document.
  const { text } = signed;
  const signature = signWith(caKey, 'ntswift possession 1', Buffer.from(text)).toString('base64');
  rejects({ text, signature }, 'NTS_ERR_WRONG_CLUSTER');
  const order = signDocument(content(1, [entry(2), entry(1)]), caKey).signed.text;
  t.equal(order, signDocument(content(1, [entry(1), entry(2)]), caKey).signed.text);
  t.end();
});

/** A random document over few nodes, so that they meet. */
function randomDocument(random: () => number): Document {
  const pick = (most: number): number => Math.floor(random() * most);
  const ids = [1, 2, 3, 4, 5];
  const gone = ids.filter(() => random() < 0.2);
  const nodes = ids
    .filter((id) => !gone.includes(id) && random() < 0.7)
    .map((id) => entry(id, { revision: pick(3), address: `10.0.${pick(2)}.1:1` }));
  return signDocument(content(1 + pick(4), nodes, gone), caKey);
}

t.test('documents unite in any order, and forget no removal', (t) => {
  let seed = 1;
  const random = (): number => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const problems: string[] = [];
  const text = (one: Content): string => signDocument(one, caKey).signed.text;
  for (let round = 0; round < 300; round++) {
    const documents = Array.from({ length: 4 }, () => randomDocument(random));
    const [a, b, c] = documents.map((one) => one.content) as [Content, Content, Content];
    if (text(merge(a, b)) !== text(merge(b, a))) problems.push('not commutative');
    if (text(merge(merge(a, b), c)) !== text(merge(a, merge(b, c))))
      problems.push('not associative');
    if (text(merge(a, a)) !== text(a)) problems.push('not idempotent');

    const all = reduce(documents);
    const shuffled = [...documents].sort(() => random() - 0.5);
    const oneByOne = shuffled.reduce<Document[]>((known, one) => reduce([...known, one]), []);
    if (digest(all) !== digest(oneByOne)) problems.push(`round ${round}: the order matters`);
    const gone = new Set(documents.flatMap((one) => one.content.removed.map(({ id }) => id)));
    const united = view(all);
    if (united.removed.length !== gone.size) problems.push('a removal was forgotten');
    if (united.nodes.some(({ id }) => gone.has(id))) problems.push('a removed node is a node');
    const again = reduce([...all, ...documents]);
    if (digest(again) !== digest(all)) problems.push('an old document is news');
  }
  t.same(problems, []);
  t.end();
});

t.test('a newer document takes the place of an older one', (t) => {
  const first = signDocument(content(1, [entry(1)]), caKey);
  const second = signDocument(content(2, [entry(1), entry(2)]), caKey);
  const third = signDocument(content(3, [entry(1)], [2]), caKey);
  const beside = signDocument(content(3, [entry(1), entry(2), entry(3)]), caKey);
  t.same(reduce([first, second]), [second]);
  t.same(reduce([third, first, second]), [third]);
  t.equal(reduce([third, beside]).length, 2);
  t.same(
    view(reduce([third, beside])).nodes.map(({ name }) => name),
    ['n1', 'n3'],
  );
  const many = Array.from({ length: 9 }, (_, i) => signDocument(content(1, [entry(i + 1)]), caKey));
  t.throws(() => reduce(many), { code: 'NTS_ERR_PEER_REFUSED' });
  t.end();
});
