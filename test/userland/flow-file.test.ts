/** Flows in files: round trips, and every way in which a file can be wrong. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { FLOWS_PER_REQUEST } from '../../userland/oneip/client.js';
import { OneIpFamily, type OneIpFlow, OneIpFlowState } from '../../userland/oneip/codec.js';
import { type FlowFile, readFlowFile, writeFlowFile } from '../../userland/oneip/flow-file.js';

const header = { clusterId: '00'.repeat(15) + 'ab', node: 3, time: '2026-01-02T03:04:05.678Z' };

const bytes = (...head: number[]): Uint8Array => {
  const address = new Uint8Array(16);
  address.set(head);
  return address;
};

const flow = (i: number): OneIpFlow =>
  i % 3 === 0
    ? {
        family: OneIpFamily.ipv6,
        client: bytes(0xfd, 1, 2, i & 0xff, i >> 8),
        cluster: bytes(0xfd, 0x77),
        clientPort: i & 0xffff,
        clusterPort: 443,
        protocol: 17,
        state: OneIpFlowState.opening,
        nodeId: 0xfffffffe,
        idleMs: 0xffffffff,
      }
    : {
        family: OneIpFamily.ipv4,
        client: bytes(192, 0, 2, i & 0xff),
        cluster: bytes(10, 77, 0, 100),
        clientPort: i & 0xffff,
        clusterPort: 80,
        protocol: 6,
        state: i % 2 ? OneIpFlowState.established : OneIpFlowState.closing,
        nodeId: 1 + (i % 4),
        idleMs: i,
      };

async function* pages(...sizes: number[]): AsyncGenerator<OneIpFlow[]> {
  let next = 0;
  for (const size of sizes) {
    await Promise.resolve();
    yield Array.from({ length: size }, () => flow(next++));
  }
}

const all = (file: FlowFile): OneIpFlow[] => [...file.batches()].flat();

async function written(t: Test, ...sizes: number[]): Promise<string> {
  const file = path.join(t.testdir({}), 'flows.json');
  await writeFlowFile(file, header, pages(...sizes));
  return file;
}

t.test('what was written is read, in batches of a request', async (t) => {
  const count = 2 * FLOWS_PER_REQUEST + 5;
  const heard: number[] = [];
  const file = path.join(t.testdir({}), 'flows.json');
  const total = await writeFlowFile(file, header, pages(1, 0, count - 2, 1), (flows) =>
    heard.push(flows),
  );
  t.equal(total, count);
  t.same(heard, [1, 1, count - 1, count]);
  const read = await readFlowFile(file);
  t.same(read.header, header);
  t.equal(read.count, count);
  t.same(
    all(read),
    Array.from({ length: count }, (_, i) => flow(i)),
  );
  t.same(
    [...read.batches()].map(({ length }) => length),
    [FLOWS_PER_REQUEST, FLOWS_PER_REQUEST, 5],
  );
  t.equal(statSync(file).mode & 0o777, 0o600, 'it tells who talks to whom');
  const [first, second] = readFileSync(file, 'utf8').split('\n');
  t.match(JSON.parse(first!), { format: 'ntswift-flows', version: 1, ...header });
  t.match(JSON.parse(second!), { client: 'fd01:200::', state: 'opening', node: 0xfffffffe });
});

t.test('no flow at all', async (t) => {
  const read = await readFlowFile(await written(t));
  t.equal(read.count, 0);
  t.same(all(read), []);
});

t.test('a file is there whole or not at all', async (t) => {
  const folder = t.testdir({ 'flows.json': 'old' });
  const file = path.join(folder, 'flows.json');
  const failing = async function* (): AsyncGenerator<OneIpFlow[]> {
    yield* pages(3);
    throw new Error('the driver went away');
  };
  await t.rejects(writeFlowFile(file, header, failing()), /went away/);
  t.equal(readFileSync(file, 'utf8'), 'old');
  t.same(readdirSync(folder), ['flows.json'], 'nothing is left beside it');
  await t.rejects(writeFlowFile(path.join(folder, 'none/x'), header, pages(1)), {
    code: 'NTS_ERR_FILE_WRITE',
    exitCode: 6,
  });
  t.notOk(existsSync(path.join(folder, 'none')));
});

t.test('a file that was cut anywhere is refused', async (t) => {
  const file = await written(t, 2);
  const text = readFileSync(file, 'utf8');
  const cut = path.join(path.dirname(file), 'cut');
  // Without its last line's end it still says everything.
  for (
    let length = 0;
    length < text.length - 1;
    length += text.slice(length, length + 8).includes('\n') ? 1 : 7
  ) {
    writeFileSync(cut, text.slice(0, length));
    await t.rejects(readFlowFile(cut), { code: 'NTS_ERR_FLOW_FILE' }, `${length} bytes`);
  }
});

/** The lines of a file, its last one made anew to fit: only what `lines` say is wrong then. */
function sealed(lines: string[]): string {
  const body = lines.map((line) => `${line}\n`).join('');
  const sha256 = createHash('sha256').update(body).digest('hex');
  return `${body}${JSON.stringify({ flows: lines.length - 1, sha256 })}\n`;
}

t.test('what is wrong is told by its line', async (t) => {
  const file = await written(t, 3);
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, 4);
  const changed = (line: number, from: string | RegExp, to: string): string =>
    sealed(lines.with(line - 1, lines[line - 1]!.replace(from, to)));
  writeFileSync(file, sealed(lines));
  t.equal((await readFlowFile(file)).count, 3, 'in order so far');

  const wrong: [string, number, RegExp][] = [
    ['', 1, /ends too early/],
    ['hello\n', 1, /no file of flows, as "oneip flows --export" writes it/],
    ['{}\n', 1, /format is not ntswift-flows/],
    [changed(1, '"version":1', '"version":2'), 1, /version is not version 1/],
    [changed(1, '"ntswift-flows"', '"other"'), 1, /format is not ntswift-flows/],
    [changed(1, 'ab"', 'xy"'), 1, /clusterId is not a cluster id/],
    [changed(2, '{', ''), 2, /no JSON/],
    [changed(2, /.*/, '[]'), 2, /this is not a flow/],
    [changed(3, /.*/, 'null'), 3, /this is not a flow/],
    [changed(3, '192.0.2.1', '192.0.2'), 3, /client is not an IPv4 or IPv6 address/],
    [changed(3, '192.0.2.1', 'fd77::1'), 3, /client and cluster are not of one family/],
    [changed(3, '"clientPort":1', '"clientPort":65536'), 3, /clientPort is not a port/],
    [changed(3, '"clusterPort":80', '"clusterPort":80.5'), 3, /clusterPort is not a port/],
    [changed(3, '"tcp"', '"icmp"'), 3, /protocol is not tcp or udp/],
    [changed(3, '"established"', '"open"'), 3, /state is not opening, established or closing/],
    [changed(3, '"node":2', '"node":0'), 3, /node is not the id of a node/],
    [changed(3, '"idleMs":1', '"idleMs":-1'), 3, /idleMs is not a number of milliseconds/],
    [changed(3, '"idleMs":1', '"idle":1'), 3, /idleMs is not|idle is not known/],
    [changed(3, '"idleMs":1', '"idleMs":1,"more":1'), 3, /more is not known here/],
    [sealed(lines).replace('"flows":3', '"flows":2'), 5, /2 flows were written, but 3 are here/],
    [sealed(lines).replace('192.0.2.1', '192.0.2.9'), 5, /was changed after it was written/],
    [`${sealed(lines)}{}\n`, 6, /after the line that ends the file/],
    [`${lines.join('\n')}\n`, 4, /ends too early/],
  ];
  for (const [text, line, message] of wrong) {
    writeFileSync(file, text);
    const error: unknown = await readFlowFile(file).catch((caught: unknown) => caught);
    t.match(error, { code: 'NTS_ERR_FLOW_FILE', exitCode: 6, message }, String(message));
    t.match((error as Error).message, `${file}:${line}: `);
    t.match((error as Error).message, /Nothing was changed$/);
  }
});

t.test('what the caller does not take', async (t) => {
  const file = await written(t, 5);
  await t.rejects(
    readFlowFile(file, ({ nodeId }) => (nodeId === 1 ? 'node 1 is tired' : null)),
    { code: 'NTS_ERR_FLOW_FILE', message: /flows\.json:6: node 1 is tired/ },
  );
});

t.test('files that cannot be read', async (t) => {
  const folder = t.testdir({});
  await t.rejects(readFlowFile(path.join(folder, 'none')), { code: 'NTS_ERR_FILE_READ' });
  await t.rejects(readFlowFile(folder), { code: 'NTS_ERR_FILE_READ' });
});
