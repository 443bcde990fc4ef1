// What fails under chaos.ts, and how it is made good again.
import path from 'node:path';
import { messageOf } from '../../userland/common/errors.js';
import type { Chaos } from './chaos.js';
import { sleep } from './process.js';

/** What an event needs for itself while it lasts. */
export type Part = 'alpha' | 'beta' | 'link' | 'disk' | 'all';

export interface Outage {
  readonly text: string;
  /** Makes it good again; null: there is nothing to be made good. */
  readonly heal: (() => Promise<void>) | null;
}

export interface ChaosEvent {
  readonly name: string;
  readonly parts: readonly Part[];
  /** Nothing comes to the backup while it lasts. */
  readonly silent?: boolean;
  readonly begin: (chaos: Chaos) => Promise<Outage>;
  /** What `status` must say meanwhile. For the first of several outages: another may hide it. */
  readonly named?: (chaos: Chaos) => Promise<unknown>;
  /** How often, in proportion. */
  readonly weight: number;
  readonly where?: 'two' | 'one';
}

const done = (text: string): Outage => ({ text, heal: null });

const later = (work: () => unknown) => (): Promise<void> => {
  work();
  return Promise.resolve();
};

const lagging = (chaos: Chaos): Promise<unknown> =>
  chaos.says('alpha', 'a lag', ({ lag, backups: [beta] }) => {
    return beta!.state !== 'streaming' || (lag!.records > 0 && (lag!.milliseconds ?? 0) > 500);
  });

/** What the driver may refuse, for that reason. */
function tried(chaos: Chaos, reason: string, ...command: string[]): string {
  try {
    chaos.repl('alpha', ...command);
    return '';
  } catch (error) {
    if (!messageOf(error).includes(reason)) throw error;
    return 'is refused';
  }
}

/** Beta is primary: something is done there, and then alpha is it again. */
async function onBeta(chaos: Chaos): Promise<void> {
  const { replica } = chaos;
  const line = 'mkdir beta; seq 1 20000 > beta/numbers; mv beta gamma; cp -r steps gamma';
  replica.machineOf('beta').sh(path.join(replica.backup, 'shop'), line);
  await chaos.level('beta');
  chaos.repl('beta', 'switchover', 'alpha', '--keep', replica.backup, '-y');
  await chaos.level();
  replica.machine.sh(replica.primary, 'rm -r gamma');
  await chaos.startLoad();
}

/** Perhaps more is written than the ring holds, or the journal: flushes need not wait for the backup then. */
function flooded(chaos: Chaos, probability: number, most: number): string {
  if (!chaos.is(probability)) return '';
  const megabytes = Math.ceil(chaos.chance(most));
  chaos.flood(megabytes);
  chaos.calm = false;
  return `${megabytes} MB written`;
}

/** Up to so many milliseconds go by. */
const shortly = (chaos: Chaos, most: number): Promise<void> => sleep(chaos.chance(most));

export const chaosEvents: readonly ChaosEvent[] = [
  {
    name: "the primary's service is killed",
    parts: ['alpha'],
    silent: true,
    weight: 3,
    async begin(chaos) {
      await chaos.replica.stopService('alpha');
      return { text: '', heal: () => chaos.replica.startService('alpha') };
    },
    named: (chaos) =>
      chaos.says('beta', 'no primary', ({ hosted: [one] }) => one?.connected === false),
  },
  {
    name: "the backup's service is killed",
    parts: ['beta'],
    weight: 3,
    async begin(chaos) {
      await chaos.replica.stopService('beta');
      return { text: '', heal: () => chaos.replica.startService('beta') };
    },
    named: (chaos) =>
      chaos.says('alpha', 'that beta cannot be reached', ({ backups: [beta] }) => {
        return beta?.state === 'waiting' && /cannot be reached|gone/.test(beta.error ?? '');
      }),
  },
  {
    name: "the primary's machine dies",
    parts: ['alpha'],
    silent: true,
    weight: 4,
    async begin(chaos) {
      const { replica } = chaos;
      const beta = replica.on('beta');
      const cutMs = chaos.is(0.5) ? chaos.chance(1500) : null;
      if (cutMs !== null) {
        beta.pull();
        await sleep(cutMs);
      }
      const spared = chaos.is(0.25);
      await chaos.crash(spared);
      // A machine that loses its power loses what its kernel had still to send. Here the kernel lives on.
      if (chaos.is(0.5)) beta.reset();
      if (cutMs !== null) beta.plug();
      const heal = async (): Promise<void> => {
        await (spared ? replica.machine.start('F') : replica.startPrimary());
        await chaos.says('alpha', 'the driver', ({ driver }) => driver !== null);
        await chaos.startLoad();
      };
      const texts = spared ? ['but its service does not'] : [];
      if (cutMs !== null) texts.push(`its link cut ${cutMs} ms before`);
      return { text: texts.join(', '), heal };
    },
  },
  {
    name: 'the cable is pulled',
    parts: ['link'],
    silent: true,
    weight: 5,
    begin(chaos) {
      const beta = chaos.replica.on('beta');
      beta.pull();
      const text = flooded(chaos, 0.4, 120);
      return Promise.resolve({ text, heal: later(() => beta.plug()) });
    },
    named: lagging,
  },
  {
    name: 'connections are reset',
    parts: ['link'],
    weight: 3,
    async begin(chaos) {
      const times = chaos.chance(3);
      for (let i = 0; i < times; i += 1) {
        chaos.replica.on('beta').reset();
        await shortly(chaos, 500);
      }
      return done(`${times} times`);
    },
  },
  {
    name: 'the link is slow',
    parts: ['link'],
    weight: 2,
    async begin(chaos) {
      const beta = chaos.replica.on('beta');
      const rate = 100_000 + chaos.random.below(1_000_000);
      beta.slow(rate);
      const megabytes = chaos.random.below(8);
      chaos.flood(megabytes);
      await shortly(chaos, 3000);
      const text = `${rate} bytes a second, ${megabytes} MB written`;
      return { text, heal: later(() => beta.slow(null)) };
    },
  },
  {
    name: "the backup's disk is full",
    parts: ['disk'],
    where: 'one',
    weight: 2,
    begin(chaos) {
      const beta = chaos.replica.on('beta');
      const disk = path.dirname(chaos.replica.backup);
      const room = chaos.random.below(4) * 65_536;
      // Of what is free the file system takes some for itself, and the backup's service some meanwhile.
      const fill = [
        `head -c ${room} /dev/zero > room`,
        ': > full',
        'fallocate -l $(($(df --output=avail -B1 . | tail -1) - 1048576)) full || :',
        'cat /dev/zero > rest 2> /dev/null || :',
        'rm room',
      ];
      beta.run('sh', '-ec', [`cd '${disk}'`, ...fill].join('\n'));
      chaos.isFull = true;
      chaos.flood(4);
      const heal = later(() => {
        beta.run('rm', `${disk}/full`, `${disk}/rest`);
        chaos.isFull = false;
      });
      return Promise.resolve({ text: `but for ${room} bytes`, heal });
    },
    async named(chaos) {
      const isFull = (why: string | null | undefined): boolean => /ENOSPC|no space/.test(why ?? '');
      await chaos.says('alpha', 'that the disk is full', ({ backups: [beta] }) =>
        isFull(beta?.error),
      );
      await chaos.says('beta', 'that its disk is full', ({ hosted: [one] }) =>
        isFull(one?.stalled),
      );
    },
  },
  {
    name: 'pause',
    parts: ['alpha'],
    silent: true,
    weight: 2,
    begin(chaos) {
      chaos.repl('alpha', 'pause');
      const text = flooded(chaos, 0.3, 60);
      return Promise.resolve({ text, heal: later(() => chaos.repl('alpha', 'resume')) });
    },
    named: (chaos) =>
      chaos.says('alpha', 'the pause', ({ backups: [beta] }) => beta?.state === 'paused'),
  },
  {
    name: 'resync',
    parts: ['alpha'],
    weight: 2,
    begin(chaos) {
      chaos.calm = false;
      return Promise.resolve(
        // While records are not kept.
        done(tried(chaos, 'nothing can be recorded now', 'resync', '--background')),
      );
    },
  },
  {
    name: 'a storm',
    parts: [],
    weight: 3,
    async begin(chaos) {
      const files = 100 + chaos.random.below(1500);
      await chaos.load?.storm(files);
      return done(`${files} files`);
    },
  },
  {
    name: 'the journal gets another size',
    parts: ['alpha'],
    weight: 1,
    begin(chaos) {
      const size = `${16 << chaos.random.below(4)}M`;
      // While something is in it.
      const refused = tried(chaos, 'keeps its size', 'set', '--journal', size);
      return Promise.resolve(done([size, refused].filter(Boolean).join(', ')));
    },
  },
  {
    name: 'bookmark and verify',
    parts: ['all'],
    weight: 1,
    async begin(chaos) {
      await chaos.replica.synchronised(240_000);
      const text = await chaos.bookmark();
      chaos.verify();
      return done(text);
    },
  },
  {
    name: "the backup's machine dies",
    parts: ['beta'],
    where: 'two',
    weight: 2,
    async begin(chaos) {
      const machine = chaos.replica.machineOf('beta');
      const host = machine.kill();
      await chaos.replica.stopService('beta');
      await host;
      const heal = async (): Promise<void> => {
        await machine.start('F');
        await chaos.replica.startService('beta');
      };
      return { text: '', heal };
    },
    named: (chaos) =>
      chaos.says('alpha', 'that beta is gone', ({ backups: [beta] }) => beta?.state === 'waiting'),
  },
  {
    name: 'switchover and back',
    parts: ['all'],
    where: 'two',
    weight: 1,
    async begin(chaos) {
      const { replica } = chaos;
      await chaos.level();
      await chaos.load!.stand();
      await chaos.load!.end();
      chaos.load = null;
      await replica.level();
      const keep = replica.machine.paths.mountpoint;
      chaos.repl('alpha', 'switchover', 'beta', '--keep', keep, '-y');
      await onBeta(chaos);
      return done('');
    },
  },
  {
    name: "the primary's machine dies, takeover, and back",
    parts: ['all'],
    where: 'two',
    weight: 1,
    async begin(chaos) {
      const { replica } = chaos;
      await chaos.crash(false);
      const text = await chaos.audit();
      // What the old primary alone has is set aside.
      Object.assign(chaos.told, chaos.seen);
      chaos.repl('beta', 'takeover', '--force', '-y');
      await replica.startPrimary();
      await chaos.says('alpha', 'that it is a backup', ({ role }) => role === 'backup');
      await onBeta(chaos);
      return done(text);
    },
  },
];
