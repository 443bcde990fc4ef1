// Copy mode: files come to the backup whole, once they are idle, and are seen there as they were or as they are.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { until } from '../../tools/lab/process.js';
import { Replica } from '../../tools/lab/replica.js';
import { missing } from './fuse.js';

t.setTimeout(0);

const MEGABYTE = 1 << 20;

/** What a reader of the backup's file sees, all the time: each time a whole version. */
class Reader {
  readonly seen = new Set<string>();
  readonly wrong: string[] = [];
  private reading = true;
  private readonly running: Promise<void>;

  constructor(private readonly file: string) {
    this.running = this.run();
  }

  private async run(): Promise<void> {
    while (this.reading) {
      this.look();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** A version is one letter, over and over, and its length is the letter's place in megabytes. */
  private look(): void {
    let bytes;
    try {
      bytes = readFileSync(this.file);
    } catch (error) {
      this.wrong.push(String(error));
      return;
    }
    const letter = String.fromCharCode(bytes[0] ?? 0x30);
    const length = (letter.charCodeAt(0) - 0x40) * MEGABYTE;
    if (bytes.length !== length || bytes.some((byte) => byte !== bytes[0])) {
      this.wrong.push(`${letter}, ${bytes.length} bytes`);
    }
    this.seen.add(letter);
  }

  async end(): Promise<void> {
    this.reading = false;
    await this.running;
  }
}

t.test('a file is there as it was or as it is', missing, async (t) => {
  const replica = await Replica.start(t.testdir(), { mode: 'copy' });
  t.teardown(() => replica.close());
  const { machine, primary } = replica;
  const version = (letter: string, to: string): void => {
    const megabytes = letter.charCodeAt(0) - 0x40;
    machine.sh(primary, `head -c ${megabytes}M /dev/zero | tr '\\0' ${letter} > ${to}`);
  };
  version('A', 'doc');
  await replica.level();
  t.equal(replica.difference(), '');
  const reader = new Reader(path.join(replica.backup, 'shop', 'doc'));
  for (const letter of ['C', 'B', 'D']) {
    version(letter, 'doc');
    await replica.level();
  }
  // As editors save: another file takes the name. It is not known on the backup before it is copied.
  for (const letter of ['B', 'C']) {
    version(letter, 'new');
    machine.sh(primary, 'mv new doc');
    await replica.level();
  }
  await reader.end();
  t.same(reader.wrong, []);
  t.same([...reader.seen].sort(), ['A', 'B', 'C', 'D']);
  t.equal(replica.difference(), '');
});

t.test('what is written over and over is copied once it is left alone', missing, async (t) => {
  const replica = await Replica.start(t.testdir(), { mode: 'copy' });
  t.teardown(() => replica.close());
  const { machine, primary } = replica;
  const before = replica.wireBytes;
  machine.sh(
    primary,
    'exec 3<>hot; for i in $(seq 40); do head -c 1M /dev/urandom > hot; sleep 0.1; done',
  );
  await replica.level();
  t.equal(replica.difference(), '');
  const sent = replica.wireBytes - before;
  t.ok(sent < 4 * MEGABYTE, `40 MiB were written, ${sent} bytes sent`);

  // A program that keeps its file open, and writes to it now and then.
  const program = await machine.spawn(
    'sh',
    '-c',
    `exec 3> ${primary}/held; while read line; do echo "$line" >&3; done`,
  );
  program.child.stdin!.write('one\n');
  await replica.level();
  const there = (): string => readFileSync(path.join(replica.backup, 'shop', 'held'), 'utf8');
  await until('one', () => (there() === 'one\n' ? true : undefined), 30_000);
  program.child.stdin!.write('two\n');
  await until('two', () => (there() === 'one\ntwo\n' ? true : undefined), 30_000);
  program.child.stdin!.end();
});

t.test('names, links, mappings and metadata', missing, async (t) => {
  const replica = await Replica.start(t.testdir(), { mode: 'copy' });
  t.teardown(() => replica.close());
  const { machine, primary } = replica;
  machine.sh(
    primary,
    `mkdir -p a/b c; for i in $(seq 300); do echo $i > a/b/$i; done; echo x > a/x; ln -s x a/link
     : > empty; truncate -s 1M sparse`,
  );
  await replica.level();
  t.equal(replica.difference(), '');
  // Known files, files that wait to be copied, and files over files, all at once.
  machine.sh(
    primary,
    `ln a/x a/hard; echo y > y; mv y a/b/1; mv a/b/2 a/b/3; mv a/b c/moved; rm c/moved/4; echo z > c/z; mv c/z c/moved/5
     ln c/moved/5 five; echo more >> five; rm -r a; mkdir a; echo late > a/late; mv a/late a/later
     chmod 700 c/moved/6; truncate -s 3 c/moved/300; touch -d 2001-01-01 c/moved/7; echo tmp > tmp; rm tmp
     rm empty; mkdir empty; mkdir gone; mv gone c; echo in > ../outside; mv ../outside inside; mv c/moved/8 ..`,
  );
  machine.run(
    'python3',
    '-c',
    `import mmap
f = open('${primary}/sparse', 'r+b'); m = mmap.mmap(f.fileno(), 0); m[4096:4101] = b'store'; m.flush()`,
  );
  await replica.level();
  t.equal(replica.difference(), '');
  const stat = (folder: string): string =>
    machine.output('stat', '-c', '%s %a %Y', `${folder}/c/moved/6`, `${folder}/c/moved/7`);
  t.equal(stat(path.join(replica.backup, 'shop')), stat(primary));
});

t.test(
  'services, cables and machines go, and what changed meanwhile is copied',
  missing,
  async (t) => {
    const replica = await Replica.start(t.testdir(), { mode: 'copy' });
    t.teardown(() => replica.close());
    const { machine, primary } = replica;
    machine.sh(primary, 'for i in $(seq 50); do head -c 100K /dev/urandom > $i; done');
    await replica.stopService('alpha');
    machine.sh(primary, 'for i in $(seq 20); do echo without $i >> $i; done; rm 30; mv 31 32');
    await replica.startService('alpha');
    await replica.level();
    t.equal(replica.difference(), '', 'the service of the primary');

    replica.on('beta').pull();
    machine.sh(
      primary,
      'for i in $(seq 20); do echo apart $i >> $i; done; rm 33; mv 34 35; echo new > new',
    );
    replica.on('beta').plug();
    await replica.level();
    t.equal(replica.difference(), '', 'the cable');

    machine.sh(
      primary,
      'for i in $(seq 20); do echo lost $i >> $i; done; mv 36 37; echo new > newer',
    );
    await replica.killPrimary();
    await replica.startPrimary();
    await replica.level('alpha', 120_000);
    t.equal(replica.difference(), '', 'the machine');

    // Something was spoilt on the backup, and has the size and the time that it had.
    const spoilt = path.join(replica.backup, 'shop', '40');
    machine.run(
      'sh',
      '-c',
      `touch -r '${spoilt}' t; printf X | dd of='${spoilt}' conv=notrunc status=none; touch -r t '${spoilt}'; rm t`,
    );
    t.not(replica.difference(), '');
    replica.ntswift('alpha', 'repl', 'resync', 'shop');
    await replica.level();
    t.equal(replica.difference(), '', 'asked for');
  },
);

t.test('earlier moments, another primary, and no other mode', missing, async (t) => {
  const replica = await Replica.start(t.testdir(), { mode: 'copy', two: true });
  t.teardown(() => replica.close());
  const { machine, primary } = replica;
  machine.sh(primary, 'echo then > file; echo old > other');
  await replica.level();
  replica.ntswift('alpha', 'repl', 'bookmark', 'then');
  machine.sh(primary, 'echo now > file; rm other');
  await replica.level();
  const into = path.join(machine.folder, 'restored');
  replica.ntswift('beta', 'repl', 'restore', 'then', '--into', into, '-y');
  t.equal(readFileSync(path.join(into, 'shop', 'file'), 'utf8'), 'then\n');
  t.equal(readFileSync(path.join(into, 'shop', 'other'), 'utf8'), 'old\n');
  t.throws(() => replica.ntswift('alpha', 'repl', 'set', 'shop', '--mode', 'async'), /copy mode/);

  // It is not idle yet: who hands over waits for nobody, and leaves nothing.
  machine.sh(primary, 'echo last > file; mkdir late; echo too > late/late');
  replica.ntswift('alpha', 'repl', 'switchover', 'beta', '--keep', path.dirname(primary), '-y');
  const onBeta = path.join(replica.backup, 'shop');
  const beta = replica.machineOf('beta');
  t.equal(beta.sh(onBeta, 'cat file late/late'), 'last\ntoo\n');
  beta.sh(onBeta, 'echo beta > file');
  await replica.level('beta');
  t.equal(replica.difference(), '');
});
