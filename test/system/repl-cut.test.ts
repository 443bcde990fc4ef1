// The link is cut at the worst moments: in a first synchronisation, and while the journal empties. Programs notice nothing, the backup
// becomes the same, and what it has is not sent again.
import path from 'node:path';
import t, { type Test } from 'tap';
import { until } from '../../tools/lab/process.js';
import { Replica } from '../../tools/lab/replica.js';
import { Writer } from '../../tools/lab/replica-writer.js';
import { differences } from '../../tools/lab/same-tree.js';
import type { NodeReplView } from '../../userland/repl/view.js';
import { missing } from './fuse.js';

const MIB = 1 << 20;

t.setTimeout(0);

async function started(t: Test): Promise<Replica> {
  const replica = await Replica.start(t.testdir());
  t.teardown(() => replica.close());
  return replica;
}

function status(
  replica: Replica,
  what: string,
  is: (view: NodeReplView) => boolean,
): Promise<NodeReplView> {
  const look = (): NodeReplView | undefined => {
    const view = replica.status('alpha');
    return is(view) ? view : undefined;
  };
  return until(what, look, 30_000, 50);
}

/** What was under way when the cable was pulled is lost. */
async function cut(replica: Replica, meanwhile: () => Promise<void>): Promise<void> {
  const beta = replica.on('beta');
  beta.pull();
  beta.reset();
  await status(replica, 'a link that is gone', ({ backups }) => backups[0]!.state !== 'streaming');
  await meanwhile();
  beta.plug();
}

t.test('in the middle of a first synchronisation', missing, async (t) => {
  const replica = await started(t);
  const { machine } = replica;
  const { backing, mountpoint } = machine.paths;
  machine.sh(
    mountpoint,
    'mkdir more; for i in $(seq 8); do dd if=/dev/urandom of=more/$i bs=1M count=2 status=none; done',
  );
  const writer = await Writer.start(replica, 1, 100);
  replica.ntswift('alpha', 'repl', 'set', '--limit', 'beta:4M');
  const before = replica.wireBytes;
  const folder = path.join(mountpoint, 'more');
  replica.ntswift('alpha', 'repl', 'add', 'more', folder, '--to', `beta:${replica.backup}`);
  const sent = (): number => replica.wireBytes - before;
  await until('a part of it is there', () => (sent() > 4 * MIB ? true : undefined), 30_000, 20);
  await cut(replica, async () => {
    t.ok(replica.status('beta').hosted[0]?.openBrackets, 'cut during the synchronisation');
    machine.sh(folder, 'rm 8; echo new > 9; mv 7 seven; echo more >> 1');
    await writer.more(20);
  });
  replica.ntswift('alpha', 'repl', 'set', '--limit', 'beta:0');
  await replica.synchronised();
  await writer.end();
  await replica.level();
  t.comment(`of 16 MiB and ${writer.count} operations ${(sent() / MIB).toFixed(1)} MiB were sent`);
  t.equal(differences(replica), '');
  const there = path.join(replica.backup, 'more');
  t.equal(differences(replica, 'beta', there, path.join(backing, 'more')), '');
  t.ok(sent() < 19 * MIB, `${sent()} bytes on the wire`);
});

t.test('while the journal empties', missing, async (t) => {
  const replica = await started(t);
  const writer = await Writer.start(replica, 1, 100);
  replica.ntswift('alpha', 'repl', 'pause');
  let grown = 0;
  const used = (): number => replica.status('alpha').driver!.journalUsed;
  for (; used() < 16 * MIB; grown += 16) {
    const line = `dd if=/dev/urandom of=big${grown} bs=1M count=16 status=none`;
    replica.machine.sh(replica.primary, line);
  }
  replica.ntswift('alpha', 'repl', 'set', '--limit', 'beta:16M');
  const before = replica.wireBytes;
  const sent = (): number => replica.wireBytes - before;
  const full = used();
  replica.ntswift('alpha', 'repl', 'resume');
  const part = 0.7 * grown * MIB;
  await until('a part of it is there', () => (sent() > part ? true : undefined), 30_000);
  await cut(replica, async () => {
    t.ok(used() > 0, `${used()} bytes are in the journal, of ${full}`);
    await writer.more(20);
  });
  replica.ntswift('alpha', 'repl', 'set', '--limit', 'beta:0');
  await status(replica, 'the ring again', (view) => view.driver?.state === 'ring');
  await writer.end();
  const { driver } = await replica.level();
  t.equal(driver?.journalUsed, 0);
  t.equal(driver?.dirtyFiles, 0, 'nothing was lost');
  t.equal(differences(replica), '');
  t.comment(`of ${grown} MiB ${(sent() / MIB).toFixed(1)} MiB were sent`);
  t.ok(sent() < (grown + 24) * MIB, `${sent()} bytes on the wire`);
});
