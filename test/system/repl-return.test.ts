// The primary's machine dies and comes back: only what was being written is compared, and the backup is the same again.
import path from 'node:path';
import t, { type Test } from 'tap';
import { root } from '../../tools/lab/built.js';
import type { Running } from '../../tools/lab/namespace.js';
import { until } from '../../tools/lab/process.js';
import { Replica } from '../../tools/lab/replica.js';
import { missing } from './fuse.js';

const scribble = path.join(root, 'dist/tools/lab/scribble.js');
const MIB = 1 << 20;

t.setTimeout(0);

/** A folder of so many files of so many MiB, all of which the backup has. */
async function started(
  t: Test,
  files: number,
  size: number,
  mode: 'async' | 'durable' = 'async',
): Promise<Replica> {
  const replica = await Replica.start(t.testdir(), { logs: true, mode });
  t.teardown(() => replica.close());
  replica.machine.sh(
    replica.primary,
    `for i in $(seq ${files}); do dd if=/dev/urandom of=file$i bs=1M count=${size} status=none; done`,
  );
  await replica.level();
  return replica;
}

/** A program that writes into the first MiB of some of the files, and has done so for a while. */
async function writing(replica: Replica, count = 3): Promise<Running> {
  let written = 0;
  const files = Array.from({ length: count }, (_, i) => path.join(replica.primary, `file${i + 1}`));
  const program = await replica.program((line) => (written = Number(line)), scribble, ...files);
  await until('a thousand writes', () => (written >= 1000 ? true : undefined), 60_000);
  return program;
}

t.test('killed under load: what was being written is compared, and no more', missing, async (t) => {
  const replica = await started(t, 4, 64);
  await until(
    'the regions are at rest',
    () => ((replica.status('alpha').driver?.activeRegions ?? 9) < 2 ? true : undefined),
    60_000,
    200,
  );
  await replica.killPrimary(await writing(replica));
  const before = replica.wireBytes;
  await replica.startPrimary();
  await replica.level();
  const read = replica.bytesRead('alpha');
  const wire = replica.wireBytes - before;
  t.comment(`of 256 MiB ${(read / MIB).toFixed(1)} were read and ${(wire / MIB).toFixed(1)} sent`);
  t.equal(replica.difference(), '');
  t.ok(read < 64 * MIB, `${read} bytes read`);
  t.ok(wire < 16 * MIB, `${wire} bytes sent`);
});

t.test(
  'the tree stays as it was until the end, also where the machine dies again meanwhile',
  missing,
  async (t) => {
    const replica = await started(t, 4, 4);
    // Slow enough to be seen at it.
    replica.ntswift('alpha', 'repl', 'set', '--limit', 'beta:256K');
    await replica.killPrimary(await writing(replica));
    await replica.settled();
    const before = replica.copy('before');
    const synchronising = (): Promise<true> =>
      until(
        'the backup is being synchronised',
        () => {
          const [hosted] = replica.status('beta').hosted;
          return hosted?.connected && hosted.openBrackets > 0 ? true : undefined;
        },
        60_000,
        20,
      );
    const same = (what: string): void => {
      const differs = replica.machine.output(
        'diff',
        '-r',
        before,
        path.join(replica.backup, 'shop'),
      );
      const open = replica.status('beta').hosted[0]?.openBrackets;
      // Looked at afterwards: it was open all the time.
      t.ok(open, `still synchronising: ${what}`);
      t.equal(differs, '', what);
    };
    await replica.startPrimary();
    await synchronising();
    same('after the first crash');
    await replica.killPrimary();
    await replica.startPrimary();
    await synchronising();
    same('after the second crash');
    const program = await writing(replica);
    replica.ntswift('alpha', 'repl', 'set', '--limit', 'beta:0');
    process.kill(program.pid, 'SIGKILL');
    await replica.level();
    t.equal(replica.difference(), '');
  },
);

t.test(
  'a program that waits for the backup holds nobody up who brings it up to date',
  missing,
  async (t) => {
    const files = 48;
    const replica = await started(t, files, 1, 'durable');
    replica.ntswift('alpha', 'repl', 'set', '--limit', 'beta:512K');
    await replica.killPrimary(await writing(replica, files));
    await replica.startPrimary();
    // The system keeps everybody else out of the folder until it is done.
    const move = await replica.machine.spawn(
      'mv',
      path.join(replica.primary, 'file48'),
      `${replica.primary}/moved`,
    );
    const moved = new Promise((resolve) => move.child.once('close', resolve));
    t.ok(replica.status('alpha').driver?.openBrackets, 'it waits until the backup is up to date');
    await replica.level();
    t.equal(await moved, 0);
    t.equal(replica.difference(), '');
  },
);

t.test(
  'killed during the first synchronisation: it is done again, to its end',
  missing,
  async (t) => {
    const replica = await Replica.start(t.testdir());
    t.teardown(() => replica.close());
    const { machine } = replica;
    const { backing, mountpoint } = machine.paths;
    machine.sh(
      mountpoint,
      `mkdir more; for i in $(seq 8); do dd if=/dev/urandom of=more/$i bs=1M count=1 status=none; done`,
    );
    replica.ntswift('alpha', 'repl', 'set', '--limit', 'beta:512K');
    const folder = path.join(mountpoint, 'more');
    replica.ntswift('alpha', 'repl', 'add', 'more', folder, '--to', `beta:${replica.backup}`);
    await until(
      'a part of it is there',
      () => ((replica.status('alpha').backups[0]?.sentBytes ?? 0) > 2 * MIB ? true : undefined),
      60_000,
      50,
    );
    const [hosted] = replica.status('beta').hosted;
    await replica.killPrimary();
    t.ok(hosted?.openBrackets, 'the machine died during the synchronisation');
    await replica.startPrimary();
    replica.ntswift('alpha', 'repl', 'set', '--limit', 'beta:0');
    await replica.level();
    t.equal(replica.status('beta').hosted[0]?.openBrackets, 0);
    t.equal(
      machine.output('diff', '-r', path.join(backing, 'more'), path.join(replica.backup, 'more')),
      '',
    );
  },
);

t.test('the same, and the journal is full before the backup can be reached', missing, async (t) => {
  const replica = await Replica.start(t.testdir(), { journal: '16M' });
  t.teardown(() => replica.close());
  const { machine } = replica;
  const { backing, mountpoint } = machine.paths;
  machine.sh(mountpoint, 'mkdir more; dd if=/dev/urandom of=more/large bs=1M count=8 status=none');
  replica.ntswift('alpha', 'repl', 'set', '--limit', 'beta:1M');
  const before = replica.wireBytes;
  const folder = path.join(mountpoint, 'more');
  replica.ntswift('alpha', 'repl', 'add', 'more', folder, '--to', `beta:${replica.backup}`);
  await until('a part', () => (replica.wireBytes - before > 2 * MIB ? true : undefined), 30_000);
  replica.on('beta').pull();
  replica.on('beta').reset();
  await replica.killPrimary();
  await replica.startPrimary();
  const isFull = (): boolean => replica.status('alpha').driver?.state === 'dirty';
  for (let i = 0; !isFull(); i++)
    machine.sh(replica.primary, `dd if=/dev/urandom of=big${i} bs=1M count=16 status=none`);
  replica.ntswift('alpha', 'repl', 'set', '--limit', 'beta:0');
  replica.on('beta').plug();
  await replica.level();
  t.equal(replica.status('beta').hosted[0]?.openBrackets, 0);
  t.equal(replica.difference(), '');
  t.equal(
    machine.output('diff', '-r', path.join(backing, 'more'), path.join(replica.backup, 'more')),
    '',
  );
});

t.test('stopped in order and started: nothing is compared', missing, async (t) => {
  const replica = await started(t, 4, 4);
  const last = (): number => replica.status('alpha').driver?.last ?? 0;
  const before = last();
  await replica.stopService('alpha', 'SIGTERM');
  t.equal(await replica.machine.stop(), 0);
  await replica.startPrimary();
  await replica.level();
  // The start; no bracket.
  t.equal(last(), before + 1);
  // The host alone; the service finds it again.
  t.equal(await replica.machine.stop(), 0);
  await replica.machine.start('F');
  await until('the driver again', () => (last() > 0 ? true : undefined), 30_000, 100);
  await replica.level();
  t.equal(last(), before + 2);
  replica.machine.sh(replica.primary, 'echo more > more');
  await replica.level();
  t.equal(replica.difference(), '');
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  t.test(`the service alone, ${signal} under load: nothing is compared`, missing, async (t) => {
    const replica = await started(t, 4, 4);
    const program = await writing(replica);
    await replica.stopService('alpha', signal);
    await replica.startService('alpha');
    process.kill(program.pid, 'SIGKILL');
    await replica.level();
    // The first synchronisation.
    t.equal(replica.log('alpha').match(/"msg":"synchronising"/g)?.length, 1);
    t.equal(replica.difference(), '');
  });
}
