/**
 * The addon on Windows' side: run by node.exe, under Wine (wine.test.ts) or on Windows. Devices that every
 * Windows has stand for ours.
 */
import { once } from 'node:events';
import { type Server, type Socket, createServer } from 'node:net';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { type Device, loadNative, openDevice } from '../../native/addon/ts/index.js';
import type { NativeReply } from '../../native/addon/ts/native.js';
import { isNtsError } from '../../userland/common/errors.js';

const IOCTL_STORAGE_GET_DEVICE_NUMBER = 0x2d1080;
const IOCTL_MOUNTMGR_QUERY_POINTS = 0x6d0008;
const FSCTL_PIPE_PEEK = 0x11400c;
const FILE_DEVICE_DISK = 7;
const UNKNOWN = 0x00ff3ffc;
const NEEDS_WRITE_ACCESS = 2 << 14;

t.test('a device that does not exist', async (t) => {
  await t.rejects(openDevice('\\\\.\\NtsNoSuchDevice'), {
    code: 'NTS_ERR_NO_DEVICE',
    ntstatus: 0xc0000034,
    name: 'STATUS_OBJECT_NAME_NOT_FOUND',
  });
});

t.test('a thing that is no device', async (t) => {
  await t.rejects(openDevice('C:\\windows', { access: 'read' }), {
    code: 'NTS_ERR_IO',
    name: 'STATUS_FILE_IS_A_DIRECTORY',
    ntstatus: 0xc00000ba,
  });
});

t.test('a disk answers an IOCTL', async (t) => {
  const device = await openDevice('\\\\.\\C:', { access: 'none' });
  const number = await device.ioctl(IOCTL_STORAGE_GET_DEVICE_NUMBER, null, 12);
  t.equal(number.length, 12);
  await t.rejects(device.ioctl(UNKNOWN, null, 0), { code: 'NTS_ERR_IO' }, 'an unknown one');
  await t.rejects(
    device.ioctl(UNKNOWN | NEEDS_WRITE_ACCESS, null, 0),
    { code: 'NTS_ERR_ACCESS_DENIED', ntstatus: 0xc0000022, exitCode: 5 },
    'one that needs more than the handle was opened for',
  );
  await device.close();
  await t.rejects(device.ioctl(IOCTL_STORAGE_GET_DEVICE_NUMBER, null, 12), {
    code: 'NTS_ERR_CLOSED',
  });
});

t.test('input and output, and a warning with its data', async (t) => {
  const device = await openDevice('\\\\.\\MountPointManager', { access: 'none' });
  const everything = Buffer.alloc(24);
  const points = await device.ioctl(IOCTL_MOUNTMGR_QUERY_POINTS, everything, 65536);
  t.equal(points.readUInt32LE(0), points.length, 'MOUNTMGR_MOUNT_POINTS.Size');
  t.ok(points.readUInt32LE(4) > 0, 'NumberOfMountPoints');
  const error: unknown = await device
    .ioctl(IOCTL_MOUNTMGR_QUERY_POINTS, everything, 32)
    .catch((caught: unknown) => caught);
  t.match(error, { code: 'NTS_ERR_IO', name: 'STATUS_BUFFER_OVERFLOW' });
  t.ok(
    isNtsError(error) && error.data?.readUInt32LE(0) === points.length,
    'the size that it would take',
  );
  await t.rejects(device.ioctl(IOCTL_MOUNTMGR_QUERY_POINTS, Buffer.alloc(3), 65536), {
    code: 'NTS_ERR_IO',
  });
  await device.close();
});

// Of our own methods no device of Windows has one that does no harm; the system calls are the same.
t.test('output into memory that is lent', async (t) => {
  const native = loadNative();
  if (native.kind !== 'windows') throw new Error('not on Windows');
  const device = new native.WindowsDevice();
  const reply = (start: (done: (f: unknown, r: NativeReply | null) => void) => void) =>
    new Promise<NativeReply>((resolve) => start((_, reply) => resolve(reply!)));
  t.match(await reply((done) => device.open('\\\\.\\C:', 0, done)), { status: 0 });
  let memory = new ArrayBuffer(0);
  const answer = await reply((done) => {
    ({ memory } = device.lend(IOCTL_STORAGE_GET_DEVICE_NUMBER, null, 4096, done));
  });
  t.match(answer, { status: 0, information: 12, payload: { length: 0 } });
  t.equal(memory.byteLength, 4096);
  t.equal(Buffer.from(memory).readUInt32LE(0), FILE_DEVICE_DISK, 'DeviceType');
  t.ok(Buffer.from(memory).subarray(12).equals(Buffer.alloc(4084)));
  t.match(await reply((done) => device.close(done)), { status: 0 });
});

let pipes = 0;

/** Both ends of a named pipe: ours by the addon, the other by Node. */
async function pipe(
  t: Test,
): Promise<{ device: Device; server: Server; socket: Socket; name: string }> {
  const name = `\\\\.\\pipe\\ntswift-${process.pid}-${++pipes}`;
  const server = createServer();
  server.listen(name);
  await once(server, 'listening');
  const connected = once(server, 'connection') as Promise<[Socket]>;
  const device = await openDevice(name);
  const [socket] = await connected;
  t.teardown(() => {
    socket.destroy();
    server.close();
  });
  return { device, server, socket, name };
}

t.test('reads, writes and a control code of a pipe', async (t) => {
  const { device, socket } = await pipe(t);
  const heard = once(socket, 'data') as Promise<[Buffer]>;
  t.equal(await device.write(0n, Buffer.from('from us')), 7);
  t.equal((await heard)[0].toString(), 'from us');
  const pending = device.read(0n, 100);
  socket.write('to us');
  t.equal((await pending).toString(), 'to us');
  socket.write('more');
  let peeked: Buffer = Buffer.alloc(0);
  // What Node writes arrives when it does.
  while (peeked.length < 20) peeked = await device.ioctl(FSCTL_PIPE_PEEK, null, 64);
  t.equal(peeked.subarray(16).toString(), 'more');
  t.equal((await device.read(0n, 100)).toString(), 'more');
  await device.close();
});

t.test('requests that pend are cancelled by an abort, one at a time', async (t) => {
  const { device, socket } = await pipe(t);
  const controllers = Array.from({ length: 20 }, () => new AbortController());
  const reads = controllers.map(({ signal }) => device.read(0n, 4, { signal }));
  controllers[7]!.abort(new Error('enough'));
  await t.rejects(reads[7]!, {
    code: 'NTS_ERR_CANCELLED',
    ntstatus: 0xc0000120,
    cause: { message: 'enough' },
  });
  const left = reads.filter((_, i) => i !== 7);
  for (const i of left.keys()) socket.write(String(i).padStart(4));
  const values = await Promise.all(left);
  t.same(values.map(Number), [...left.keys()], 'the others go on, in order');
  await device.close();
});

t.test('closing cancels what pends', async (t) => {
  const { device } = await pipe(t);
  const reads = [device.read(0n, 1), device.read(0n, 1)];
  const outcomes = Promise.allSettled(reads);
  await device.close();
  for (const outcome of await outcomes) {
    t.match(outcome, { status: 'rejected', reason: { code: 'NTS_ERR_CANCELLED' } });
  }
});

t.test('the other end goes away', async (t) => {
  const { device, socket } = await pipe(t);
  const pending = device.read(0n, 1);
  socket.destroy();
  await t.rejects(pending, { code: 'NTS_ERR_IO', name: 'STATUS_PIPE_BROKEN' });
  await device.close();
});

t.test('the end of a worker, with requests in flight', async (t) => {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.addon).then(async ({ openDevice }) => {
      const device = await openDevice(workerData.name);
      for (let i = 0; i < 10; i++) device.read(0n, 1).catch(() => {});
      parentPort.postMessage('ready');
    });`;
  const { server, name } = await pipe(t);
  server.on('connection', (socket) => t.teardown(() => socket.destroy()));
  const addon = new URL('../../native/addon/ts/index.js', import.meta.url).href;
  for (let round = 0; round < 3; round++) {
    const worker = new Worker(source, { eval: true, workerData: { addon, name } });
    await once(worker, 'message');
    await worker.terminate();
  }
  const device = await openDevice('\\\\.\\C:', { access: 'none' });
  t.ok(await device.ioctl(IOCTL_STORAGE_GET_DEVICE_NUMBER, null, 12), 'the addon still works here');
  await device.close();
});
