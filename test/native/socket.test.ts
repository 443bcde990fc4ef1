/** The addon's socket client against a peer that misbehaves, and at the ends of its life. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { openDevice } from '../../native/addon/ts/index.js';
import { packageRoot } from '../../userland/common/paths.js';
import { asUser, otherUsers } from './nthost.js';
import { Peer, type Request, ops, reply } from './peer.js';
import { temporaryFolder } from './temporary.js';

if (process.platform === 'win32') t.bailout('this is the client of the driver host');

const PATH = '\\\\.\\Device';

async function peerFor(t: Test, answer?: (request: Request) => void): Promise<Peer> {
  const peer = await Peer.listen(temporaryFolder(t), answer);
  t.teardown(() => peer.close());
  return peer;
}

// Peer's own ends here; it has no use for the memory, which Node closes unseen.
const LEND = 8;

t.test('the bytes of the requests', async (t) => {
  const peer = await peerFor(t, (request) => {
    Peer.polite(request);
    if (request.op === ops.ioctl)
      request.socket.write(reply(request.tag, 0, 3n, Buffer.from('abc')));
    if (request.op === ops.read) request.socket.write(reply(request.tag, 0, 2n, Buffer.from('de')));
    if (request.op === ops.write) request.socket.write(reply(request.tag, 0, 4n));
  });
  const device = await openDevice(PATH, { access: 'read', endpoint: peer.endpoint });
  t.equal((await device.ioctl(0x12a404, Buffer.from('in'), 100)).toString(), 'abc');
  t.equal((await device.ioctl(0x126400, null, 0xffffffff)).toString(), 'abc');
  t.equal((await device.read(0x1_0000_0002n, 10)).toString(), 'de');
  t.equal(await device.write(5n, Buffer.from('data')), 4);
  await device.close();
  const hex = peer.requests.map(({ raw }) =>
    raw
      .toString('hex')
      .replace(/(.{8})/g, '$1 ')
      .trim(),
  );
  t.same(hex, [
    '00000000 01000000 01000000 00000000 00000000 4e545354 02000000 00000000',
    `0a000000 02000000 02000000 00000000 00000000 00000080 00000000 00000000 5c5c2e5c 44657669 6365`,
    '02000000 04000000 03000000 00000000 07000000 04a41200 64000000 00000000 696e',
    '00000000 04000000 04000000 00000000 07000000 00641200 ffffffff 00000000',
    '08000000 06000000 05000000 00000000 07000000 0a000000 00000000 00000000 02000000 01000000',
    '0c000000 07000000 06000000 00000000 07000000 00000000 00000000 00000000 05000000 00000000 64617461',
    '00000000 05000000 07000000 00000000 07000000 00000000 00000000 00000000',
    '00000000 03000000 08000000 00000000 07000000 00000000 00000000 00000000',
  ]);
});

t.test('the bytes of lending', async (t) => {
  const peer = await peerFor(t, (request) => {
    Peer.polite(request);
    if (request.op === LEND) request.socket.write(reply(request.tag, 0, 9n));
  });
  const device = await openDevice(PATH, { endpoint: peer.endpoint });
  const lent = device.lend(0x12a406, Buffer.from('in'), 8192);
  t.equal(await lent.done, 9);
  const { raw, tag } = peer.requests.find(({ op }) => op === LEND)!;
  raw.writeBigUInt64LE(raw.readBigUInt64LE(8) - tag + 3n, 8);
  t.equal(
    raw.toString('hex').replace(/(.{8})/g, '$1 '),
    '02000000 08000000 03000000 00000000 07000000 06a41200 00200000 00000000 696e',
  );
  t.ok(lent.memory.equals(Buffer.alloc(8192)), 'zeros at first');
  await device.close();
});

t.test('replies in any order, and in any pieces', async (t) => {
  const waiting: Request[] = [];
  const peer = await peerFor(t, (request) => {
    if (request.op === ops.ioctl) waiting.push(request);
    else Peer.polite(request);
  });
  const device = await openDevice(PATH, { endpoint: peer.endpoint });
  const count = 50;
  const results = Array.from({ length: count }, (_, i) => device.ioctl(4 * i, null, 100));
  await peer.seen(ops.ioctl, count);
  const answers = waiting
    .map(({ tag, arg0 }) => reply(tag, 0, 4n, Buffer.from(String(arg0).padStart(4))))
    .reverse();
  const stream = Buffer.concat(answers);
  const { socket } = waiting[0]!;
  socket.setNoDelay(true);
  for (let at = 0, size = 1; at < stream.length; at += size, size = (size % 61) + 7) {
    socket.write(stream.subarray(at, at + size));
    await new Promise(setImmediate);
  }
  const values = (await Promise.all(results)).map((data) => Number(data.toString()));
  t.same(
    values,
    Array.from({ length: count }, (_, i) => 4 * i),
  );
  await device.close();
});

t.test('statuses become errors', async (t) => {
  const statuses: [number, Record<string, unknown>][] = [
    [0xc0000022, { code: 'NTS_ERR_ACCESS_DENIED', name: 'STATUS_ACCESS_DENIED', exitCode: 5 }],
    [0xc000000d, { code: 'NTS_ERR_IO', ntstatus: 0xc000000d, name: 'STATUS_INVALID_PARAMETER' }],
    [0xc0000120, { code: 'NTS_ERR_CANCELLED', name: 'STATUS_CANCELLED', cause: undefined }],
    [0xc0000034, { code: 'NTS_ERR_IO', name: 'STATUS_OBJECT_NAME_NOT_FOUND' }],
    [0xdeadbeef, { code: 'NTS_ERR_IO', name: '0xDEADBEEF', message: /NTSTATUS 0xDEADBEEF/ }],
    [0x80000005, { name: 'STATUS_BUFFER_OVERFLOW', data: Buffer.from('part') }],
  ];
  const peer = await peerFor(t, (request) => {
    Peer.polite(request);
    const { op, tag, arg0, socket } = request;
    if (op === ops.ioctl) socket.write(reply(tag, arg0, 4n, Buffer.from('part')));
  });
  const device = await openDevice(PATH, { endpoint: peer.endpoint });
  const failure = (status: number): Promise<unknown> =>
    device.ioctl(status, null, 4).catch((error: unknown) => error);
  for (const [status, expected] of statuses) t.match(await failure(status), expected);
  t.equal((await device.ioctl(0x40000000, null, 4)).toString(), 'part', 'information is success');
  t.match(await failure(0xc0000022), { data: null }, 'an error brings no data');
  await device.close();
  await t.rejects(device.ioctl(0, null, 0), { code: 'NTS_ERR_CLOSED' });
});

t.test('a device that does not exist, and one that may not be opened', async (t) => {
  for (const [status, code] of [
    [0xc0000034, 'NTS_ERR_NO_DEVICE'],
    [0xc000003a, 'NTS_ERR_NO_DEVICE'],
    [0xc0000022, 'NTS_ERR_ACCESS_DENIED'],
    [0xc000009a, 'NTS_ERR_IO'],
  ] as const) {
    const peer = await peerFor(t, (request) => {
      if (request.op === ops.open) request.socket.write(reply(request.tag, status));
      else Peer.polite(request);
    });
    await t.rejects(openDevice(PATH, { endpoint: peer.endpoint }), { code, ntstatus: status });
    await peer.close();
  }
});

const mischief: [string, (request: Request) => void, string, RegExp][] = [
  ['closes', ({ socket }) => socket.destroy(), 'NTS_ERR_HOST_GONE', /ended before it answered/],
  [
    'closes in the middle of a header',
    ({ tag, socket }) => socket.end(reply(tag).subarray(0, 11)),
    'NTS_ERR_HOST_GONE',
    /./,
  ],
  [
    'closes in the middle of a payload',
    ({ tag, socket }) => socket.end(reply(tag, 0, 9n, Buffer.alloc(100)).subarray(0, 60)),
    'NTS_ERR_HOST_GONE',
    /./,
  ],
  [
    'answers what was not asked',
    ({ socket }) => socket.write(reply(999n)),
    'NTS_ERR_PROTOCOL',
    /not asked/,
  ],
  [
    'answers twice',
    ({ tag, socket }) => {
      socket.write(Buffer.concat([reply(tag - 1n), reply(tag)]));
    },
    'NTS_ERR_PROTOCOL',
    /not asked/,
  ],
  [
    'claims a reply beyond all bounds',
    ({ tag, socket }) => {
      const header = reply(tag);
      header.writeUInt32LE(0xffffffff, 0);
      socket.write(header);
    },
    'NTS_ERR_PROTOCOL',
    /longer than any/,
  ],
];

for (const [what, act, code, message] of mischief) {
  t.test(`a host that ${what}`, async (t) => {
    const peer = await peerFor(t, (request) => {
      if (request.op === ops.ioctl) act(request);
      else Peer.polite(request);
    });
    const device = await openDevice(PATH, { endpoint: peer.endpoint });
    const first = device.ioctl(1, null, 0);
    const second = device.ioctl(2, null, 0);
    await t.rejects(first, { code, message });
    await t.rejects(second, { code });
    await t.rejects(device.ioctl(3, null, 0), { code }, 'and so does whatever comes later');
    await t.rejects(device.close(), { code });
  });
}

t.test('a host of another protocol', async (t) => {
  const refuses = await peerFor(t, ({ tag, socket }) => socket.write(reply(tag, 0xc0000059)));
  await t.rejects(openDevice(PATH, { endpoint: refuses.endpoint }), {
    code: 'NTS_ERR_PROTOCOL',
    message: /version 2 is refused/,
    ntstatus: 0xc0000059,
  });
  await refuses.close();
  const babbles = await peerFor(t, ({ socket }) =>
    socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
  );
  await t.rejects(openDevice(PATH, { endpoint: babbles.endpoint }), { code: 'NTS_ERR_PROTOCOL' });
});

t.test('no host', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(path.join(folder, 'file'), '');
  await t.rejects(openDevice(PATH, { endpoint: path.join(folder, 'none.sock') }), {
    code: 'NTS_ERR_HOST_UNREACHABLE',
    message: /no driver host answers at .*none\.sock \(No such file or directory\).*--host/,
    exitCode: 4,
  });
  await t.rejects(openDevice(PATH, { endpoint: path.join(folder, 'file') }), {
    code: 'NTS_ERR_HOST_UNREACHABLE',
    message: /Connection refused/,
  });
  await t.rejects(openDevice(PATH, { endpoint: path.join(folder, 'x'.repeat(200)) }), {
    code: 'NTS_ERR_HOST_UNREACHABLE',
    message: /too long/,
  });
});

t.test('a socket that this user may not use', otherUsers, async (t) => {
  const peer = await peerFor(t);
  chmodSync(peer.endpoint, 0o600);
  const script = `
    import { openDevice } from ${JSON.stringify(path.join(packageRoot(), 'dist/native/addon/ts/index.js'))};
    await openDevice('x', { endpoint: ${JSON.stringify(peer.endpoint)} }).catch((e) => console.log(e.code));`;
  t.match(await runScript(t, script, 65534), { stdout: 'NTS_ERR_HOST_DENIED\n', code: 0 });
});

t.test('abort', async (t) => {
  const peer = await peerFor(t);
  const device = await openDevice(PATH, { endpoint: peer.endpoint });

  const late = new AbortController();
  late.abort(new Error('too late'));
  await t.rejects(device.ioctl(1, null, 0, { signal: late.signal }), {
    code: 'NTS_ERR_CANCELLED',
    cause: { message: 'too late' },
  });
  t.same(
    peer.requests.filter(({ op }) => op === ops.ioctl),
    [],
    'nothing was asked',
  );

  const controller = new AbortController();
  const pending = device.ioctl(2, null, 0, { signal: controller.signal });
  const [asked] = await peer.seen(ops.ioctl);
  controller.abort(new Error('enough'));
  const [cancel] = await peer.seen(ops.cancel);
  t.match(cancel, { handle: 7, arg0: Number(asked!.tag), arg1: 0 });
  asked!.socket.write(reply(asked!.tag, 0xc0000120));
  await t.rejects(pending, { code: 'NTS_ERR_CANCELLED', cause: { message: 'enough' } });

  // The driver may have finished before: then its answer is not thrown away.
  const again = new AbortController();
  const done = device.ioctl(3, null, 4, { signal: again.signal });
  const [, second] = await peer.seen(ops.ioctl, 2);
  again.abort();
  await peer.seen(ops.cancel, 2);
  second!.socket.write(reply(second!.tag, 0, 4n, Buffer.from('done')));
  t.equal((await done).toString(), 'done');

  // An abort after the end asks nothing.
  const after = new AbortController();
  const third = device.ioctl(4, null, 0, { signal: after.signal });
  const asks = await peer.seen(ops.ioctl, 3);
  asks[2]!.socket.write(reply(asks[2]!.tag));
  await third;
  after.abort();
  await device.close();
  t.equal((await peer.seen(ops.cancel)).length, 3, 'two aborts and the close');
});

t.test('a peer that does not read does not stop the event loop', async (t) => {
  const peer = await peerFor(t);
  const device = await openDevice(PATH, { endpoint: peer.endpoint });
  const [socket] = peer.sockets;
  socket!.pause();
  const input = Buffer.alloc(8 << 20, 0x5a);
  const before = process.hrtime.bigint();
  const pending = Array.from({ length: 8 }, (_, i) => device.ioctl(i, input, 0));
  const blocked = Number(process.hrtime.bigint() - before) / 1e6;
  t.ok(blocked < 2000, `64 MiB were queued in ${blocked} ms`);
  let turns = 0;
  while (turns < 100) {
    await new Promise(setImmediate);
    turns++;
  }
  socket!.resume();
  const requests = await peer.seen(ops.ioctl, 8);
  t.ok(
    requests.every(({ payload }) => payload.equals(input)),
    'all of it arrived, unharmed',
  );
  requests.forEach(({ tag }, i) => socket!.write(reply(tag, 0, 1n, Buffer.from([i]))));
  t.same(
    (await Promise.all(pending)).map(([i]) => i),
    [0, 1, 2, 3, 4, 5, 6, 7],
  );
  await t.rejects(device.ioctl(1, Buffer.alloc((16 << 20) + 1), 0), /longer than the host takes/);
  await device.close();
});

interface Ended {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

async function runScript(t: Test, script: string, uid: number | null = null): Promise<Ended> {
  const file = path.join(temporaryFolder(t), 'script.mjs');
  writeFileSync(file, script);
  chmodSync(path.dirname(file), 0o755);
  const program = [process.execPath, file];
  const [command = '', ...args] = uid === null ? program : asUser(uid, program);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, stdout, stderr };
}

const addon = JSON.stringify(path.join(packageRoot(), 'dist/native/addon/ts/index.js'));

t.test('the end of a process', async (t) => {
  const peer = await peerFor(t);
  const endpoint = JSON.stringify(peer.endpoint);
  const open = `import { openDevice } from ${addon};
    const device = await openDevice('x', { endpoint: ${endpoint} });`;

  const scripts: [string, string, Partial<Ended>][] = [
    [
      'a device that is open does not keep it alive',
      `${open} console.log('end');`,
      { code: 0, stdout: 'end\n' },
    ],
    [
      'exit with requests in flight',
      `${open} for (let i = 0; i < 100; i++) device.ioctl(i, Buffer.alloc(1000), 10).catch(() => {});
       setTimeout(() => process.exit(7), 20);`,
      { code: 7 },
    ],
    [
      'exit while it connects',
      `import { openDevice } from ${addon}; openDevice('x', { endpoint: ${endpoint} }); process.exit(5);`,
      { code: 5 },
    ],
    [
      'an error that nobody catches',
      `${open} device.ioctl(1, null, 0); throw new Error('mine');`,
      { code: 1, stderr: 'mine' },
    ],
  ];
  for (const [what, script, expected] of scripts) {
    const ended = await runScript(t, script);
    t.match(ended, { signal: null, ...expected }, `${what}: ${ended.stderr}`);
  }
});

t.test('devices that are forgotten are collected, with their connections', async (t) => {
  const peer = await peerFor(t);
  const script = `
    import { openDevice } from ${addon};
    import v8 from 'node:v8';
    import vm from 'node:vm';
    v8.setFlagsFromString('--expose-gc');
    const gc = vm.runInNewContext('gc');
    for (let i = 0; i < 60; i++) await openDevice('x', { endpoint: ${JSON.stringify(peer.endpoint)} });
    setInterval(gc, 20);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  await peer.seen(ops.open, 60);
  // What the last rounds of the loop left on the stack may stay.
  while (peer.sockets.size > 5) await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(child.exitCode, null, 'while the process lives');
  child.kill();
});

t.test('a request in flight keeps a process alive', async (t) => {
  const peer = await peerFor(t);
  const script = `import { openDevice } from ${addon};
    const device = await openDevice('x', { endpoint: ${JSON.stringify(peer.endpoint)} });
    device.ioctl(1, null, 4).then((data) => console.log(String(data)));
    process.stdout.write('waits\\n');`;
  const ended = runScript(t, script);
  const [asked] = await peer.seen(ops.ioctl);
  asked!.socket.write(reply(asked!.tag, 0, 4n, Buffer.from('data')));
  t.match(await ended, { code: 0, stdout: 'waits\ndata\n' });
});

t.test('the end of a worker, with requests in flight', async (t) => {
  const peer = await peerFor(t);
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.addon).then(async ({ openDevice }) => {
      const device = await openDevice('x', { endpoint: workerData.endpoint });
      for (let i = 0; i < 50; i++) device.ioctl(i, null, 10).catch(() => {});
      parentPort.postMessage('ready');
    });`;
  for (let round = 0; round < 5; round++) {
    const workerData = { addon: JSON.parse(addon) as string, endpoint: peer.endpoint };
    const worker = new Worker(source, { eval: true, workerData });
    await once(worker, 'message');
    // Replies that arrive while it ends go nowhere.
    for (const { tag, socket } of peer.requests) if (round % 2) socket.write(reply(tag));
    await worker.terminate();
    peer.requests.length = 0;
  }
  const device = await openDevice(PATH, { endpoint: peer.endpoint });
  t.ok(device, 'and the addon still works here');
  await device.close();
});
