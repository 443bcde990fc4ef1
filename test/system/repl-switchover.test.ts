// Roles change: in order, and because the primary died. Two machines, each with a driver host, a mount, the driver and the service.
import path from 'node:path';
import t, { type Test } from 'tap';
import { root } from '../../tools/lab/built.js';
import { LabError, until } from '../../tools/lab/process.js';
import { Replica, type ReplicaNode } from '../../tools/lab/replica.js';
import { missing } from './fuse.js';

const scribble = path.join(root, 'dist/tools/lab/scribble.js');

t.setTimeout(0);

async function started(t: Test): Promise<Replica> {
  const replica = await Replica.start(t.testdir(), { two: true });
  t.teardown(() => replica.close());
  return replica;
}

/** What a shell says to a line that must fail. */
function failing(replica: Replica, node: ReplicaNode, folder: string, line: string): string {
  try {
    replica.machineOf(node).sh(folder, line);
  } catch (error) {
    if (error instanceof LabError) return error.message;
    throw error;
  }
  throw new LabError(`${node} could: ${line}`);
}

/** What alpha has set aside, once it is listed. */
async function listed(replica: Replica): Promise<{ folder: string; paths: string[] }> {
  const { folder, list } = await until(
    'what only alpha had is listed',
    () => {
      const [one] = replica.status('alpha').hosted[0]?.aside ?? [];
      return one && one.files !== null ? one : undefined;
    },
    30_000,
    100,
  );
  const entries = JSON.parse(replica.machine.output('cat', list)) as readonly { path: string }[];
  return { folder, paths: entries.map((one) => one.path).sort() };
}

t.test('switchover, and back again', missing, async (t) => {
  const replica = await started(t);
  const { machine, primary } = replica;
  const onBeta = path.join(replica.backup, 'shop');
  machine.sh(primary, 'mkdir a; seq 1 1000 > a/numbers; echo one > one; ln one two');
  await replica.level();
  const keep = path.dirname(primary);
  machine.sh(primary, 'truncate -s 1M open');
  let told = '';
  await replica.program((line) => (told = line), scribble, path.join(primary, 'open'));
  await until('it writes', () => (Number(told) >= 500 ? true : undefined), 30_000);
  replica.ntswift('alpha', 'repl', 'switchover', 'beta', '--keep', keep, '-y');
  await until('it ends', () => (told !== '' && Number.isNaN(Number(told)) ? true : undefined));
  t.equal(told, 'EROFS');
  replica
    .machineOf('beta')
    .sh(onBeta, 'echo beta > beta; seq 1 2000 > a/numbers; rm two; mv one 1');
  await replica.level('beta');
  t.equal(replica.difference(), '');
  t.match(failing(replica, 'alpha', primary, 'echo lost > lost'), /Read-only file system/);

  replica.ntswift('beta', 'repl', 'switchover', 'alpha', '--keep', replica.backup, '-y');
  machine.sh(primary, 'echo again > again; rm beta');
  await replica.level();
  t.equal(replica.difference(), '');
  t.match(failing(replica, 'beta', onBeta, 'echo lost > lost'), /Read-only file system/);
  t.equal(replica.machine.output('cat', path.join(primary, '1')), 'one\n');
  // Everything was on both sides: nothing is left of what was set aside meanwhile.
  await until(
    'nothing is left',
    () => (replica.status('beta').hosted[0]?.aside.length === 0 ? true : undefined),
    30_000,
    100,
  );
});

t.test('the primary is dead: takeover; what only it had is set aside', missing, async (t) => {
  const replica = await started(t);
  const { machine, primary } = replica;
  const onBeta = path.join(replica.backup, 'shop');
  machine.sh(primary, 'mkdir docs; for i in $(seq 50); do echo old $i > docs/$i; done');
  await replica.level();
  replica.on('beta').pull();
  machine.sh(
    primary,
    'for i in $(seq 200); do echo new $i > docs/new$i; done; echo changed > docs/7',
  );
  await replica.killPrimary();
  t.throws(() => replica.ntswift('beta', 'repl', 'takeover'), /-y|--yes/, 'asks before');
  replica.ntswift('beta', 'repl', 'takeover', '--force', '-y');
  replica.machineOf('beta').sh(onBeta, 'echo beta > docs/beta; rm docs/8');
  replica.on('beta').plug();
  await replica.startPrimary();
  await until(
    'alpha is a backup',
    () => (replica.status('alpha').role === 'backup' ? true : undefined),
    30_000,
    100,
  );
  await replica.level('beta');
  t.equal(replica.difference(), '');
  t.match(failing(replica, 'alpha', primary, 'echo lost > lost'), /Read-only file system/);
  const aside = await listed(replica);
  const news = Array.from({ length: 200 }, (_, i) => `shop/docs/new${i + 1}`);
  t.same(aside.paths, [...news, 'shop/docs/7', 'shop/docs/8'].sort());
  t.equal(replica.machine.output('cat', path.join(aside.folder, 'shop/docs/new200')), 'new 200\n');
  t.equal(replica.machine.output('cat', path.join(aside.folder, 'shop/docs/7')), 'changed\n');
  t.match(replica.ntswift('alpha', 'repl', 'status'), /202 files/);
});

t.test(
  'both live, and do not see each other: the old primary is fenced when they do',
  missing,
  async (t) => {
    const replica = await started(t);
    const { machine, primary } = replica;
    const onBeta = path.join(replica.backup, 'shop');
    machine.sh(primary, 'truncate -s 1M open; echo old > both');
    await replica.level();
    let told = '';
    const program = await replica.program(
      (line) => (told = line),
      scribble,
      path.join(primary, 'open'),
    );
    replica.on('beta').pull();
    await until('it writes', () => (Number(told) >= 500 ? true : undefined), 30_000);
    replica.ntswift('beta', 'repl', 'takeover', '--force', '-y');
    replica.machineOf('beta').sh(onBeta, 'echo beta > both');
    machine.sh(primary, 'echo alpha > both; echo alpha > alone');
    t.equal(replica.status('alpha').role, 'primary');
    replica.on('beta').plug();
    await until('it ends', () => (program.child.exitCode !== null ? true : undefined), 60_000);
    t.equal(told, 'EROFS');
    await replica.level('beta');
    t.equal(replica.difference(), '');
    t.equal(machine.output('cat', path.join(primary, 'both')), 'beta\n');
    const aside = await listed(replica);
    t.same(aside.paths, ['shop/alone', 'shop/both', 'shop/open']);
  },
);
