// The primary's machine dies and comes back: only what was being written is compared, and the backup is the same again.
import { existsSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { root } from '../../tools/lab/built.js';
import { until } from '../../tools/lab/process.js';
import { Replica } from '../../tools/lab/replica.js';

const missing = existsSync('/dev/fuse') ? {} : { skip: 'there is no /dev/fuse' };
const scribble = path.join(root, 'dist/tools/lab/scribble.js');

t.setTimeout(0);

async function started(t: Test, mode: 'async' | 'durable' = 'async'): Promise<Replica> {
  const replica = await Replica.start(t.testdir(), { mode });
  t.teardown(() => replica.close());
  return replica;
}

t.test(
  'killed under load: what was being written is compared, and nothing else',
  missing,
  async (t) => {
    const replica = await started(t);
    const { machine } = replica;
    machine.sh(
      replica.primary,
      `for i in $(seq 16); do head -c 4194304 /dev/urandom > file$i; done; sync`,
    );
    await replica.level();
    let written = 0;
    const program = await replica.program(
      (line) => (written = Number(line)),
      scribble,
      ...[1, 2, 3].map((i) => path.join(replica.primary, `file${i}`)),
    );
    await until('a thousand writes', () => (written > 1000 ? true : undefined), 60_000);
    await replica.killPrimary(program);
    await replica.startPrimary();
    await replica.level();
    t.equal(replica.difference(), '');
  },
);
