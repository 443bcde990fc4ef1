/** The addon on the real driver host, with its I/O test driver. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { type Device, loadAcquire, openDevice, storeRelease } from '../../native/addon/ts/index.js';
import { packageRoot } from '../../userland/common/paths.js';
import { array, struct, u32, u64 } from '../../userland/common/struct.js';
import { Nthost, drivers, missing, until, asUser, otherUsers } from './nthost.js';

const skip = missing('iotest');
const DEVICE = '\\\\.\\IoTest';

// test/drivers/iotest/iotest_contract.h
const code = (number: number, access = 0): number =>
  (0x22 << 16) | (access << 14) | ((0x900 + number) << 2);
const ECHO = code(0);
const COMPLETE = code(4);
const NEEDS_READ = code(5, 1);
const NEEDS_WRITE = code(6, 2);
const WAIT = code(7);
const SIGNAL = code(8);
const LATER = code(9);
const STATS = code(10);
const WHO = code(14);
const METHOD_IN_DIRECT = 1;
const METHOD_OUT_DIRECT = 2;
const ECHO_IN = code(1) | METHOD_IN_DIRECT;
const ECHO_OUT = code(2) | METHOD_OUT_DIRECT;
const LEND = code(15) | METHOD_OUT_DIRECT;
const POKE = code(16);

const Stats = struct('IOTEST_STATS', 56, {
  creates: u32(0),
  cleanups: u32(4),
  closes: u32(8),
  cancelled: u32(12),
  cleanedUp: u32(16),
  signalled: u32(20),
  waiting: u32(24),
  processes: array(28, 3, u32),
  lastReadOffset: u64(40),
  lastReadLength: u32(48),
});

const inf = `[Version]
Signature   = "$Windows NT$"
Class       = IoTest
ClassGuid   = {a38b1d3e-9c55-4c8e-8f2f-6d1f6a2f9b10}
Provider    = %Provider%
CatalogFile = iotest.cat
DriverVer   = 11/21/2026,1.0.0.0
PnpLockdown = 1

[DefaultInstall.NTamd64]
CopyFiles = Files

[DefaultInstall.NTamd64.Services]
AddService = IoTest,,Service

[Files]
iotest.sys

[Service]
DisplayName   = %Description%
ServiceType   = 1
StartType     = 3
ErrorControl  = 1
ServiceBinary = %13%\\iotest.sys

[SourceDisksNames]
1 = %Description%

[SourceDisksFiles]
iotest.sys = 1

[DestinationDirs]
DefaultDestDir = 13

[Strings]
Provider    = "ntswift"
Description = "I/O manager test driver"
`;

async function hostWithDriver(t: Test): Promise<Nthost> {
  const host = await Nthost.start(t);
  const file = path.join(host.folder, 'iotest.inf');
  writeFileSync(file, inf);
  for (const words of [
    ['driver', 'install', file, '--images', drivers],
    ['driver', 'start', 'IoTest'],
  ]) {
    const { status, stderr } = await host.ntswift(...words);
    if (status !== 0) throw new Error(`${words.join(' ')}: ${stderr}${host.log}`);
  }
  return host;
}

async function open(t: Test, host: Nthost, device = DEVICE): Promise<Device> {
  const opened = await openDevice(device, { endpoint: host.endpoint });
  t.teardown(() => opened.close().catch(() => undefined));
  return opened;
}

const stats = async (device: Device) => Stats.decode(await device.ioctl(STATS, null, Stats.size));

function complete(status: number, fill: number, information: number): Buffer {
  const told = Buffer.alloc(16);
  told.writeInt32LE(status | 0, 0);
  told.writeUInt32LE(fill, 4);
  told.writeBigUInt64LE(BigInt(information), 8);
  return told;
}

t.test('requests on a device', { skip }, async (t) => {
  const host = await hostWithDriver(t);

  await t.test('a thousand at once, each with its own answer', async (t) => {
    const device = await open(t, host);
    const answers = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => device.ioctl(ECHO, Buffer.from(`request ${i}`), 64)),
    );
    const expected = answers.map((_, i) => Buffer.from(`request ${i}`).map((byte) => byte + 1));
    t.ok(answers.every((answer, i) => answer.equals(expected[i]!)));
  });

  await t.test('a megabyte each way', async (t) => {
    const device = await open(t, host);
    const input = Buffer.alloc(1 << 20, 'abcdefg');
    const answers = await Promise.all([1, 2, 3].map(() => device.ioctl(ECHO, input, input.length)));
    const expected = Buffer.alloc(1 << 20, 'bcdefgh');
    t.ok(answers.every((answer) => answer.equals(expected)));
  });

  await t.test('statuses', async (t) => {
    const device = await open(t, host);
    const ask = (status: number, information: number, bytes = 8): Promise<unknown> =>
      device
        .ioctl(COMPLETE, complete(status, 0x41, information), bytes)
        .catch((error: unknown) => error);
    t.match(await ask(0, 5), Buffer.from('AAAAA'), 'success brings Information bytes');
    t.match(await ask(0, 0), Buffer.alloc(0));
    t.match(await ask(0xc000000d, 5), { code: 'NTS_ERR_IO', ntstatus: 0xc000000d, data: null });
    t.match(await ask(0x80000005, 8), {
      name: 'STATUS_BUFFER_OVERFLOW',
      data: Buffer.alloc(8, 'A'),
    });
    t.match(await ask(0x40000000, 3), Buffer.from('AAA'), 'information is success');
    t.match(await device.ioctl(0x22fffc, null, 0).catch((error: unknown) => error), {
      name: 'STATUS_INVALID_DEVICE_REQUEST',
    });
  });

  await t.test('completed later, by a DPC or a work item', async (t) => {
    const device = await open(t, host);
    const later = (milliseconds: number, workItem: number): Promise<Buffer> => {
      const input = Buffer.alloc(8);
      input.writeUInt32LE(milliseconds, 0);
      input.writeUInt32LE(workItem, 4);
      return device.ioctl(LATER, input, 8);
    };
    await Promise.all([later(1, 0), later(1, 1), later(20, 0), later(20, 1)]);
    t.pass('all of them came');
  });

  await t.test('what the handle was opened for', async (t) => {
    for (const [access, read, write] of [
      ['none', false, false],
      ['read', true, false],
      ['write', false, true],
      ['read-write', true, true],
    ] as const) {
      const device = await openDevice(DEVICE, { access, endpoint: host.endpoint });
      for (const [code, allowed] of [
        [NEEDS_READ, read],
        [NEEDS_WRITE, write],
      ] as const) {
        const outcome: unknown = await device.ioctl(code, null, 0).catch((error: unknown) => error);
        t.match(outcome, allowed ? Buffer.alloc(0) : { code: 'NTS_ERR_ACCESS_DENIED' }, access);
      }
      await device.close();
    }
  });

  await t.test('requests that wait: signals, aborts, the close', async (t) => {
    const device = await open(t, host);
    const observer = await open(t, host);
    const before = await stats(observer);
    const controllers = Array.from({ length: 100 }, () => new AbortController());
    const waits = controllers.map(({ signal }) => device.ioctl(WAIT, null, 16, { signal }));
    const outcomes = Promise.allSettled(waits);
    await until(async () =>
      (await stats(observer)).waiting === before.waiting + 100 ? true : null,
    );

    controllers.slice(0, 40).forEach((controller) => controller.abort());
    await until(async () =>
      (await stats(observer)).waiting === before.waiting + 60 ? true : null,
    );
    for (let i = 0; i < 30; i++) {
      const signalled = await observer.ioctl(SIGNAL, Buffer.from(`signal ${i}`), 4);
      t.equal(signalled.readUInt32LE(0), 1);
    }
    await device.close();

    const all = await outcomes;
    t.ok(all.slice(0, 40).every((o) => o.status === 'rejected'));
    t.match(all[0], { reason: { code: 'NTS_ERR_CANCELLED', ntstatus: 0xc0000120 } });
    const answers = all.flatMap((o) => (o.status === 'fulfilled' ? [o.value.toString()] : []));
    t.same(answers.sort(), Array.from({ length: 30 }, (_, i) => `signal ${i}`).sort());
    t.ok(
      all.slice(70).every((o) => o.status === 'rejected'),
      'the rest ended with the handle',
    );
    const after = await stats(observer);
    t.equal(after.cancelled + after.cleanedUp - before.cancelled - before.cleanedUp, 70);
    t.equal(after.waiting, before.waiting);
  });

  await t.test('an abort that comes when the request has ended', async (t) => {
    const device = await open(t, host);
    for (let i = 0; i < 200; i++) {
      const controller = new AbortController();
      const echo = device.ioctl(ECHO, Buffer.from('x'), 1, { signal: controller.signal });
      setImmediate(() => controller.abort());
      const outcome: unknown = await echo.catch((error: unknown) => error);
      if (!Buffer.isBuffer(outcome)) t.match(outcome, { code: 'NTS_ERR_CANCELLED' });
    }
    t.equal((await device.ioctl(ECHO, Buffer.from('a'), 1)).toString(), 'b', 'the device is well');
  });

  await t.test('memory that is lent', async (t) => {
    const device = await open(t, host);
    const observer = await open(t, host);
    const { waiting } = await stats(observer);
    const lends = async (count: number): Promise<void> => {
      await until(async () => ((await stats(observer)).waiting === waiting + count ? true : null));
    };
    const poke = async (offset: number, value: bigint): Promise<bigint> => {
      const told = Buffer.alloc(16);
      told.writeBigUInt64LE(BigInt(offset), 0);
      told.writeBigUInt64LE(value, 8);
      return (await observer.ioctl(POKE, told, 8)).readBigUInt64LE(0);
    };

    const bytes = 1 << 20;
    const lent = device.lend(LEND, null, bytes);
    await lends(1);
    t.equal(lent.memory.length, bytes);
    for (let i = 1n; i <= 100n; i++) {
      storeRelease(lent.memory, 64, i);
      t.equal(await poke(64, i * 1000n), i, 'the driver sees what we stored');
      t.equal(loadAcquire(lent.memory, 64), i * 1000n, 'and we what it did');
    }
    await poke(bytes - 8, 2n ** 64n - 1n);
    t.equal(loadAcquire(lent.memory, bytes - 8), 2n ** 64n - 1n);
    await observer.ioctl(SIGNAL, Buffer.from('given back'), 4);
    t.equal(await lent.done, 10, 'Information');
    t.equal(lent.memory.toString('latin1', 0, 10), 'given back');

    const cancelled = device.lend(LEND, null, 4096);
    await lends(1);
    cancelled.cancel();
    await t.rejects(cancelled.done, { code: 'NTS_ERR_CANCELLED', ntstatus: 0xc0000120 });
    cancelled.memory.write('still ours');
    t.equal(cancelled.memory.toString('latin1', 0, 10), 'still ours');

    const echo = device.lend(ECHO_OUT, Buffer.from('HAL'), 4096);
    t.equal(await echo.done, 3);
    t.equal(echo.memory.toString('latin1', 0, 4), 'IBM\0');
    const sum = device.lend(ECHO_IN, Buffer.from([1, 2]), 8192);
    t.equal(await sum.done, 3, 'zeros, and the input');

    for (const wrong of [0, 100, 4097, -4096, 2 ** 30 + 4096, 0.5]) {
      t.throws(() => device.lend(LEND, null, wrong), RangeError, `${wrong} bytes`);
    }
    t.throws(() => device.lend(WAIT, null, 4096), RangeError, 'METHOD_BUFFERED');

    // Nobody here holds the memory any more: the driver's view of it is the host's own.
    const forgotten = device.lend(LEND, null, 4096).done.catch((error: unknown) => error);
    await lends(1);
    global.gc?.();
    t.equal(await poke(0, 7n), 0n);
    t.equal(await poke(0, 8n), 7n);
    await device.close();
    t.match(await forgotten, { code: 'NTS_ERR_CANCELLED' }, 'closing takes it back');
    t.throws(() => device.lend(LEND, null, 4096), { code: 'NTS_ERR_CLOSED' });
    await lends(0);
  });

  await t.test('reads and writes', async (t) => {
    for (const name of ['\\Device\\IoTest', '\\Device\\IoTestDirect']) {
      const device = await open(t, host, name);
      const pattern = Buffer.from(Array.from({ length: 100 }, (_, i) => i + 7));
      t.same(await device.read(0x1_0000_0007n, 100), pattern);
      t.match(await stats(device), { lastReadOffset: 0x1_0000_0007n, lastReadLength: 100 });
      t.equal(await device.write(7n, pattern), 100);
      await t.rejects(
        device.write(8n, pattern),
        { code: 'NTS_ERR_IO' },
        'the driver checks the data',
      );
    }
  });

  await t.test('devices that cannot be opened', async (t) => {
    const { endpoint } = host;
    for (const name of ['\\\\.\\NoSuch', '\\Device\\NoSuch', '\\\\.\\', 'nonsense', '']) {
      const error: unknown = await openDevice(name, { endpoint }).catch(
        (caught: unknown) => caught,
      );
      t.match(error, { ntstatus: Number }, JSON.stringify(name));
    }
    await t.rejects(openDevice('\\\\.\\NoSuch', { endpoint }), { code: 'NTS_ERR_NO_DEVICE' });
  });

  await t.test('another process', async (t) => {
    const observer = await open(t, host);
    const who = await observer.ioctl(WHO, null, 8);
    t.equal(who.readUInt32LE(0), process.pid, 'the driver knows who asks');
    const before = await stats(observer);

    // It ends without closing anything, with requests in flight.
    const script = `
      const { openDevice } = await import(${JSON.stringify(path.join(packageRoot(), 'dist/native/addon/ts/index.js'))});
      const device = await openDevice(${JSON.stringify(DEVICE)}, { endpoint: ${JSON.stringify(host.endpoint)} });
      for (let i = 0; i < 18; i++) device.ioctl(${WAIT}, null, 4).catch(() => {});
      for (let i = 0; i < 2; i++) device.lend(${LEND}, null, 65536).done.catch(() => {});
      process.stdout.write('waits');`;
    const program = [process.execPath, '--input-type=module', '-e', script];
    const [command = '', ...args] = 'skip' in otherUsers ? program : asUser(65534, program);
    const child = spawn(command, args);
    let complaint = '';
    child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`the other process ended: ${complaint}`);
      return (await stats(observer)).waiting === before.waiting + 20 ? true : null;
    });
    child.kill('SIGKILL');
    const after = await until(async () => {
      const now = await stats(observer);
      return now.closes > before.closes ? now : null;
    });
    t.equal(after.waiting, before.waiting, 'its requests are gone');
    t.equal(after.cleanups, before.cleanups + 1);
  });

  await t.test('a worker that ends with requests in flight', async (t) => {
    const observer = await open(t, host);
    const before = await stats(observer);
    const addon = path.join(packageRoot(), 'dist/native/addon/ts/index.js');
    const source = `
      const { workerData } = require('node:worker_threads');
      import(workerData.addon).then(async ({ openDevice }) => {
        const device = await openDevice(workerData.device, { endpoint: workerData.endpoint });
        for (let i = 0; i < 18; i++) device.ioctl(${WAIT}, null, 4).catch(() => {});
        for (let i = 0; i < 2; i++) device.lend(${LEND}, null, 65536).done.catch(() => {});
      });`;
    const workerData = { addon, device: DEVICE, endpoint: host.endpoint };
    const worker = new Worker(source, { eval: true, workerData });
    await until(async () =>
      (await stats(observer)).waiting === before.waiting + 20 ? true : null,
    );
    await worker.terminate();
    await until(async () => ((await stats(observer)).closes > before.closes ? true : null));
    t.equal((await stats(observer)).waiting, before.waiting);
  });

  await t.test('an ordinary user', otherUsers, async (t) => {
    chmodSync(host.folder, 0o755);
    const script = `
      const { openDevice, connectHost, loadNative } = await import(${JSON.stringify(path.join(packageRoot(), 'dist/native/addon/ts/index.js'))});
      const endpoint = ${JSON.stringify(host.endpoint)};
      for (const path of ['\\\\\\\\.\\\\IoTest', '\\\\Device\\\\IoTestAdmin']) {
        await openDevice(path, { endpoint }).then((d) => { console.log('open'); return d.close(); }, (e) => console.log(e.code));
      }`;
    const program = [process.execPath, '--input-type=module', '-e', script];
    const [command = '', ...args] = 'skip' in otherUsers ? program : asUser(65534, program);
    const child = spawn(command, args);
    let said = '';
    child.stdout.on('data', (text: Buffer) => (said += text.toString()));
    child.stderr.on('data', (text: Buffer) => (said += text.toString()));
    await once(child, 'close');
    t.equal(said, 'open\nNTS_ERR_ACCESS_DENIED\n');
    const admin = await openDevice('\\Device\\IoTestAdmin', { endpoint: host.endpoint });
    t.ok(admin, 'root may');
    await admin.close();
    chmodSync(host.folder, 0o700);
  });

  await t.test('the host dies', async (t) => {
    const device = await open(t, host);
    const waits = [1, 2, 3].map(() => device.ioctl(WAIT, null, 4));
    const outcomes = Promise.allSettled(waits);
    await device.ioctl(ECHO, null, 0);
    await host.stop('SIGKILL');
    for (const outcome of await outcomes) {
      t.match(outcome, { reason: { code: 'NTS_ERR_HOST_GONE', exitCode: 4 } });
    }
    await t.rejects(device.ioctl(ECHO, null, 0), { code: 'NTS_ERR_HOST_GONE' });
    await t.rejects(device.close(), { code: 'NTS_ERR_HOST_GONE' });
    await t.rejects(openDevice(DEVICE, { endpoint: host.endpoint }), {
      code: 'NTS_ERR_HOST_UNREACHABLE',
    });
  });
});
