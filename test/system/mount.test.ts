// A volume of the driver host as Linux programs see it: the same as the folder below it. And what becomes of the mount when the host
// ends, in either way.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { openDevice } from '../../native/addon/ts/index.js';
import { builtFile, root } from '../../tools/lab/built.js';
import { MountMachine } from '../../tools/lab/mount.js';
import { ended, until } from '../../tools/lab/process.js';
import { points } from './points.js';
import { missing } from './fuse.js';

const users = process.env.NTS_UNPRIVILEGED
  ? { skip: 'posix-suite is root, and several users' }
  : missing;

t.setTimeout(0);

async function machine(t: Test): Promise<MountMachine> {
  const one = await MountMachine.create(t.testdir());
  t.teardown(() => one.close());
  return one;
}

t.test('posix-suite: the same on the mount as on the folder below', users, async (t) => {
  const one = await machine(t);
  const native = path.join(one.folder, 'native');
  mkdirSync(native);
  await one.start();
  const suite = builtFile('bin/posix-suite');
  const below = points(one.output(suite, native));
  const told = one.output(suite, one.paths.mountpoint);
  const above = points(told);
  t.ok(below.size > 190, 'all tests ran');
  t.same(above, below);
  if ([...above.values()].includes(false)) t.comment(told.replace(/^ok .*\n/gm, ''));
  t.ok(one.alive);
  t.equal(await one.stop(), 0);
});

t.test('a host that may have few descriptors', users, async (t) => {
  const one = await machine(t);
  const { backing, mountpoint } = one.paths;
  const native = path.join(one.folder, 'native');
  mkdirSync(native);
  await one.start('', 400);
  const open = (): number => readdirSync(`/proc/${one.pid}/fd`).length;
  const below = points(one.output(builtFile('bin/posix-suite'), native));
  one.sh(
    mountpoint,
    'mkdir many; for i in $(seq 20); do mkdir -p many/$i/in; touch $(seq -f many/$i/in/$i.%g 150); done',
  );
  // The kernel knows 3,000 files and 40 folders; some of them are open.
  const program = await one.spawn(
    'sh',
    '-c',
    `cd ${mountpoint}/many/7/in; exec 3< 7.7 4> 7.8; rm 7.7 7.8; echo ready; read x; echo late >&4; wc -c <&3; pwd`,
  );
  let told = '';
  program.child.stdout!.on('data', (data: Buffer) => (told += data.toString()));
  await until('it has opened them', () => (told === 'ready\n' ? true : undefined));
  one.sh(
    mountpoint,
    `cd many; for i in $(seq 20); do echo $i > $i/in/$i.1; done; mv 1 one; mv one/in/1.2 2/in/1.2; ln 3/in/3.3 hard
     rm -r 4; mkdir 4; touch $(seq -f 4/again.%g 150); mv 5/in/5.5 5/in/5.6; ln -s 6 symlink; touch symlink/in/6.6
     find . -type f -exec stat {} + > /dev/null; chmod 600 one/in/1.3; python3 -c 'import os; os.setxattr("8/in/8.8", "user.a", b"b"); assert os.getxattr("8/in/8.8", "user.a") == b"b"'`,
  );
  t.ok(open() < 400, `${open()} descriptors`);
  t.equal(one.output('diff', '-r', '--no-dereference', mountpoint, backing), '');
  const list = (folder: string): string =>
    one.sh(folder, 'find . -printf "%p %y %i %m %n %s %T@ %l\\n" | sort');
  t.equal(list(path.join(mountpoint, 'many')), list(path.join(backing, 'many')));
  program.child.stdin!.end('\n');
  await ended(program.child);
  t.match(told, /^ready\n0\n.*many\/7\/in\n$/);
  t.same(points(one.output(builtFile('bin/posix-suite'), mountpoint)), below);
  t.equal(await one.stop(), 0);
});

t.test('fsx: a file is what the operations on it made it', missing, async (t) => {
  const one = await machine(t);
  await one.start();
  const told = one.output(builtFile('bin/fsx'), one.paths.mountpoint, '--seeds=5');
  t.match(told, /^1\.\.5$/m);
  t.notMatch(told, /not ok|not supported/, told);
  t.equal(await one.stop(), 0);
});

t.test('programs work', missing, async (t) => {
  const one = await machine(t);
  const { backing, mountpoint } = one.paths;
  await one.start();
  t.test('tar: a tree goes in and comes out the same', (t) => {
    one.sh(root, `tar -cf '${one.folder}/tree.tar' tools test docs`);
    one.sh(mountpoint, `mkdir tree && tar -xf '${one.folder}/tree.tar' -C tree`);
    t.equal(one.sh(mountpoint, `tar -df '${one.folder}/tree.tar' -C tree`), '');
    t.equal(one.sh(backing, `tar -df '${one.folder}/tree.tar' -C tree`), '');
    one.sh(mountpoint, 'cp -a tree copy && mv tree moved && diff -r copy moved && rm -rf copy');
    t.notOk(existsSync(path.join(backing, 'copy')));
    t.end();
  });
  t.test('git', (t) => {
    const git = 'git -c user.name=lab -c user.email=lab@localhost -c init.defaultBranch=main';
    one.sh(mountpoint, `cd moved && ${git} init -q && ${git} add . && ${git} commit -qm one`);
    one.sh(mountpoint, `${git} clone -q moved clone && ${git} -C clone gc -q`);
    t.equal(one.sh(mountpoint, `${git} -C clone status --porcelain`), '');
    one.sh(mountpoint, `${git} -C clone fsck --strict`);
    t.end();
  });
  t.test('cc: compiles and links, and the program runs', (t) => {
    writeFileSync(
      path.join(one.folder, 'hello.c'),
      '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n',
    );
    one.sh(mountpoint, `cp '${one.folder}/hello.c' . && cc hello.c -o hello`);
    t.equal(one.sh(mountpoint, './hello'), 'hello\n');
    t.end();
  });
  for (const journal of ['DELETE', 'TRUNCATE', 'WAL'])
    t.test(`SQLite, journal mode ${journal}`, (t) => {
      const file = path.join(mountpoint, `${journal}.db`);
      const script = `
        const Database = require('better-sqlite3');
        const db = new Database(${JSON.stringify(file)});
        db.pragma('journal_mode = ${journal}');
        db.pragma('mmap_size = 1048576');
        db.exec('CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)');
        const insert = db.prepare('INSERT INTO t (text) VALUES (?)');
        for (let i = 0; i < 50; i++)
          db.transaction(() => { for (let j = 0; j < 20; j++) insert.run('x'.repeat(i * j)); })();
        db.exec('DELETE FROM t WHERE n % 3 = 0; VACUUM');
        const { rows } = db.prepare('SELECT count(*) AS rows FROM t').get();
        process.stdout.write(rows + ' ' + db.pragma('integrity_check', { simple: true }));
        db.close();`;
      t.equal(
        one.sh(root, `'${process.execPath}' -e '${script.replaceAll("'", `'\\''`)}'`),
        '667 ok',
      );
      t.ok(existsSync(path.join(backing, `${journal}.db`)));
      t.end();
    });
  t.equal(await one.stop(), 0);
});

t.test(
  'what NT clients of the volume change is seen, also in a file that is open and cached',
  missing,
  async (t) => {
    const one = await machine(t);
    const { backing, mountpoint } = one.paths;
    await one.start('F');
    const size = 3 * 4096;
    one.sh(mountpoint, `head -c ${size} /dev/zero > file`);
    // Has the file open all the time, and says its size and how it begins when asked.
    const script = `
      const fs = require('node:fs'), fd = fs.openSync(${JSON.stringify(`${mountpoint}/file`)});
      process.stdin.on('data', () => {
        const bytes = Buffer.alloc(5);
        fs.readSync(fd, bytes, 0, 5, 0);
        console.log(fs.fstatSync(fd).size + ' ' + bytes.toString('hex'));
      });`;
    const reader = await one.spawn(process.execPath, '-e', script);
    const ask = () =>
      new Promise<string>((resolve) => {
        reader.child.stdout?.once('data', (data: Buffer) => resolve(data.toString().trim()));
        reader.child.stdin?.write('\n');
      });
    t.equal(await ask(), `${size} 0000000000`);
    const file = await openDevice('\\\\.\\F:\\file', { endpoint: one.endpoint });
    await file.write(0n, Buffer.from('hello'));
    await until('the new bytes', async () => (await ask()) === `${size} 68656c6c6f` || undefined);
    await file.write(BigInt(size), Buffer.from('more'));
    await until('the new size', async () => (await ask()).startsWith(`${size + 4} `) || undefined);
    await file.close();
    t.equal(readFileSync(path.join(backing, 'file'), 'latin1').slice(-4), 'more');
    reader.child.stdin?.end();
    await ended(reader.child);
    t.equal(await one.stop(), 0);
  },
);

t.test(
  'SIGTERM: what was written is there, and the mount point is a folder again',
  missing,
  async (t) => {
    const one = await machine(t);
    const { backing, mountpoint } = one.paths;
    await one.start();
    t.ok(one.isMounted);
    one.sh(mountpoint, 'mkdir d; echo kept > d/file');
    t.equal(await one.stop(), 0);
    t.notOk(one.isMounted);
    t.equal(readFileSync(path.join(backing, 'd/file'), 'utf8'), 'kept\n');
    t.equal(one.run('ls', '-A', mountpoint), '');
  },
);

t.test('SIGTERM while a program is in it: detached', missing, async (t) => {
  const one = await machine(t);
  const { backing, mountpoint } = one.paths;
  await one.start();
  const user = await one.spawn(
    'sh',
    '-c',
    `cd '${mountpoint}'; exec 3> open; echo in >&3; echo; cat`,
  );
  await new Promise((resolve) => user.child.stdout?.once('data', resolve));
  t.equal(await one.stop(), 0);
  t.match(one.messages, /in use/);
  t.notOk(one.isMounted);
  t.equal(readFileSync(path.join(backing, 'open'), 'utf8'), 'in\n');
  user.child.stdin?.end();
  await ended(user.child);
});

t.test('SIGKILL: the next start clears the dead mount away', missing, async (t) => {
  const one = await machine(t);
  const { backing, mountpoint } = one.paths;
  await one.start();
  one.sh(mountpoint, 'echo before > file; sync file');
  await one.kill();
  t.ok(one.isMounted, 'the mount is there still');
  t.match(one.output('ls', mountpoint), /not connected/);
  t.equal(readFileSync(path.join(backing, 'file'), 'utf8'), 'before\n');
  await one.start();
  t.equal(one.sh(mountpoint, 'cat file'), 'before\n');
  one.sh(mountpoint, 'echo after > file');
  t.equal(await one.stop(), 0);
  t.notOk(one.isMounted);
  t.equal(readFileSync(path.join(backing, 'file'), 'utf8'), 'after\n');
});

t.test('SIGKILL in the middle of writing: nothing that was written is lost', missing, async (t) => {
  const one = await machine(t);
  const { backing, mountpoint } = one.paths;
  await one.start();
  const writer = await one.spawn(
    'sh',
    '-c',
    `cd '${mountpoint}'; i=0; while echo $i >> numbers; do i=$((i+1)); done 2> /dev/null`,
  );
  const numbers = path.join(backing, 'numbers');
  await until('some numbers', () =>
    existsSync(numbers) && readFileSync(numbers).length > 1000 ? true : undefined,
  );
  await one.kill();
  await ended(writer.child);
  const lines = readFileSync(numbers, 'utf8').trimEnd().split('\n');
  t.same(
    lines,
    lines.map((_, index) => String(index)),
  );
});

t.test('what cannot be mounted is refused by name', missing, async (t) => {
  const one = await machine(t);
  const { backing, mountpoint } = one.paths;
  const refused = (mount: string, why: RegExp, code = 1) => {
    const told = one.refusal(mount);
    t.match(told, why);
    t.match(told, new RegExp(`^exit ${code}$`, 'm'));
  };
  refused(`${one.folder}/none:${mountpoint}`, /none: No such file/);
  refused(`${backing}:${one.folder}/none`, /none: No such file/);
  writeFileSync(path.join(one.folder, 'file'), '');
  refused(`${backing}:${one.folder}/file`, /file: Not a directory/);
  refused(`${one.folder}/file:${mountpoint}`, /file: Not a directory/);
  refused(`${backing}:/proc`, /\/proc: something is mounted there/);
  mkdirSync(path.join(backing, 'in'));
  refused(`${backing}:${backing}/in`, /must not contain each other/);
  refused(`${one.folder}:${mountpoint}`, /must not contain each other/);
  refused(backing, /--mount wants BACKING:MOUNTPOINT/, 2);
  refused(`${backing}:${mountpoint}:C`, /--mount wants/, 2);
  t.notOk(one.isMounted);
});
