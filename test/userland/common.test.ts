/** Pieces that everything uses: addresses, statuses, errors, the store. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import t from 'tap';
import * as address from '../../userland/common/address.js';
import { ExitCode, NtsError, errorCodes, ntsError } from '../../userland/common/errors.js';
import { describeStatus, knownStatuses } from '../../userland/common/ntstatus.js';
import { packageRoot } from '../../userland/common/paths.js';
import { Store } from '../../userland/common/store.js';

t.test('IPv6 as text and as bytes', (t) => {
  const texts: [string, string][] = [
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['fd77::100', 'fd770000000000000000000000000100'],
    ['2001:db8:0:1:1:1:1:1', '20010db8000000010001000100010001'],
    ['2001:db8::1:0:0:1', '20010db8000000000001000000000001'],
    ['1::8', '00010000000000000000000000000008'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000'],
    ['::ffff:102:304', '00000000000000000000ffff01020304'],
  ];
  for (const [text, hex] of texts) {
    const bytes = address.parseIpv6(text);
    t.equal(Buffer.from(bytes ?? []).toString('hex'), hex, text);
    // 5952: a single group of zeros is written out.
    t.equal(address.formatIpv6(bytes!), text === '1:2:3:4:5:6:7::' ? '1:2:3:4:5:6:7:0' : text);
  }
  const other: [string, string][] = [
    ['::FFFF:1.2.3.4', '::ffff:102:304'],
    ['FD77:0:0:0:0:0:0:0100', 'fd77::100'],
  ];
  for (const [text, canonical] of other)
    t.equal(address.formatIpv6(address.parseIpv6(text)!), canonical);
  for (const text of ['', ':', '1.2.3.4', 'fe80::1%eth0', '1::2::3', 'g::', '1:2:3:4:5:6:7:8:9']) {
    t.equal(address.parseIpv6(text), null, text);
  }
  t.end();
});

t.test('what one machine can have', (t) => {
  const v4 = (text: string): boolean => address.isUnicastIpv4(address.parseIpv4(text)!);
  t.same(
    ['10.0.0.1', '223.255.255.255', '0.1.2.3', '127.0.0.1', '224.0.0.1', '255.255.255.255'].map(v4),
    [true, true, false, false, false, false],
  );
  const v6 = (text: string): boolean => address.isUnicastIpv6(address.parseIpv6(text)!);
  t.same(['fd77::1', '::2', '::', '::1', 'ff02::1', '::ffff:1.2.3.4'].map(v6), [
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
  const mac = (text: string): boolean => address.isUnicastMac(address.parseMac(text)!);
  t.same(['02:00:00:00:00:01', '01:00:5e:00:00:01', '00:00:00:00:00:00'].map(mac), [
    true,
    false,
    false,
  ]);
  t.equal(address.parseMac('02:00:00:00:00'), null);
  t.equal(address.parseIpv4('1.2.3'), null);
  t.end();
});

t.test('our statuses are those of our kernel headers', (t) => {
  const header = path.join(packageRoot(), 'tools/wdk/include/ntstatus.h');
  const declared = new Map(
    Array.from(
      readFileSync(header, 'utf8').matchAll(/#define (STATUS_\w+) +\(\(NTSTATUS\)(0x[0-9A-F]+)/g),
      ([, name, value]) => [name, Number(value)],
    ),
  );
  for (const { name, value } of knownStatuses()) t.equal(declared.get(name), value, name);
  t.match(describeStatus(0xc0000022), { name: 'STATUS_ACCESS_DENIED', win32: 5 });
  t.match(describeStatus(0xc0070020), {
    name: '0xC0070020',
    win32: 32,
    meaning: 'Windows error 32',
  });
  t.match(describeStatus(0xc0ffee00), { name: '0xC0FFEE00', meaning: 'NTSTATUS 0xC0FFEE00' });
  t.end();
});

t.test('errors', (t) => {
  t.ok(errorCodes().every((code) => /^NTS_ERR_[A-Z_]+$/.test(code)));
  const cause = new Error('below');
  const error = ntsError('NTS_ERR_IO', { what: 'it', why: 'so' }, { cause, ntstatus: 0xc0000001 });
  t.match(error, {
    code: 'NTS_ERR_IO',
    message: 'it: so',
    kind: 'user',
    cause,
    name: 'STATUS_UNSUCCESSFUL',
  });
  t.ok(error instanceof NtsError && error instanceof Error);
  t.equal(error.exitCode, ExitCode.refused);
  t.same(error.toJSON(), {
    code: 'NTS_ERR_IO',
    message: 'it: so',
    ntstatus: '0xC0000001',
    name: 'STATUS_UNSUCCESSFUL',
    win32: 31,
  });
  t.equal(ntsError('NTS_ERR_CODEC', { what: 'x' }).kind, 'internal');
  t.end();
});

t.test('the store keeps to itself', (t) => {
  const folder = path.join(t.testdir({}), 'state');
  const store = Store.open(folder);
  t.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of ['ntswift.db', 'ntswift.db-wal', 'ntswift.db-shm']) {
    const file = path.join(folder, name);
    t.equal(existsSync(file) && statSync(file).mode & 0o777, 0o600, name);
  }
  t.match(store.get('PRAGMA synchronous'), { synchronous: 2 }, 'FULL');
  t.match(store.get('PRAGMA journal_mode'), { journal_mode: 'wal' });
  store.close();
  t.end();
});

t.test('the store commits what succeeded, and nothing else', async (t) => {
  const folder = t.testdir({});
  const store = Store.open(folder);
  const set = (value: string): void =>
    store.execute("INSERT OR REPLACE INTO setting VALUES ('a', ?)", value);
  await store.exclusively(() => set('one'));
  await t.rejects(
    store.exclusively(async () => {
      set('two');
      await Promise.reject(new Error('refused'));
    }),
    /refused/,
  );
  store.close();
  const again = Store.open(folder);
  t.match(again.get("SELECT value FROM setting WHERE name = 'a'"), { value: 'one' });
  t.throws(() => again.execute('nonsense'), { code: 'NTS_ERR_STORE' });
  again.close();
});

t.test('a transaction is part of the one around it', async (t) => {
  const store = Store.open(t.testdir({}));
  const set = (name: string): void =>
    store.execute("INSERT OR REPLACE INTO setting VALUES (?, '')", name);
  const has = (name: string): boolean =>
    store.get('SELECT 1 FROM setting WHERE name = ?', name) !== null;
  t.equal(
    store.transaction(() => {
      set('a');
      store.transaction(() => set('b'));
      return 7;
    }),
    7,
  );
  t.ok(has('a') && has('b'));
  const outer = (): void =>
    store.transaction(() => {
      store.transaction(() => set('c'));
      throw new Error('refused');
    });
  t.throws(outer, /refused/);
  t.notOk(has('c'));
  await store.exclusively(() => store.transaction(() => set('d')));
  t.ok(has('d'));
  store.close();
});

t.test('two processes take turns', async (t) => {
  const folder = t.testdir({});
  const store = Store.open(folder);
  const module = JSON.stringify(path.join(packageRoot(), 'dist/userland/common/store.js'));
  const script = `
    import { Store } from ${module};
    const store = Store.open(${JSON.stringify(folder)});
    process.stdout.write('tries\\n');
    await store.exclusively(() => {
      process.stdout.write(store.get("SELECT value FROM setting WHERE name = 'turn'").value);
    });`;
  let child: ChildProcessWithoutNullStreams | null = null;
  await store.exclusively(async () => {
    child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    child.stdout.setEncoding('utf8');
    const [said] = (await once(child.stdout, 'data')) as [string];
    t.equal(said, 'tries\n');
    store.execute("INSERT INTO setting VALUES ('turn', 'after the first')");
  });
  const [said] = (await once(child!.stdout, 'data')) as [string];
  t.equal(said, 'after the first');
  store.close();
});

t.test('a store of a newer release is left alone', (t) => {
  const folder = t.testdir({});
  Store.open(folder).close();
  const file = path.join(folder, 'ntswift.db');
  const database = new Database(file);
  database.pragma('user_version = 99');
  database.close();
  t.throws(() => Store.open(folder), { code: 'NTS_ERR_STORE', message: /newer ntswift/ });
  t.end();
});

t.test('a folder that cannot be made', (t) => {
  const folder = t.testdir({ file: '' });
  t.throws(() => Store.open(path.join(folder, 'file', 'state')), { code: 'NTS_ERR_STORE' });
  t.end();
});
