/** Records and what is in them: round trips, and that nothing malformed gets through. */
import t from 'tap';
import { isNtsError } from '../../userland/common/errors.js';
import {
  REPL_FLAG_CLOSE,
  REPL_FLAG_DIRECTORY,
  REPL_FLAG_LEFT,
  REPL_FLAG_OPEN,
  REPL_FLAG_STREAM,
  ReplRecord,
  ReplRecordType as T,
} from '../../userland/repl/codec.js';
import { checkContent } from '../../userland/repl/content.js';
import { diskName, keepable, splitPath } from '../../userland/repl/names.js';
import {
  decodeEa,
  decodeEntries,
  decodeMetadata,
  encodeEa,
  encodeEntries,
  encodeMetadata,
  mergeEa,
} from '../../userland/repl/payload.js';
import {
  RECORD_BYTES,
  type RecordFields,
  Stop,
  buildRecord,
  crc32c,
  parseRecords,
  scanRecords,
} from '../../userland/repl/record.js';
import { mergeSecurity } from '../../userland/repl/security.js';
import { differences } from '../../userland/repl/verify.js';
import { Workload } from './workload.js';

const ID = Buffer.alloc(16, 7);

function why(work: () => unknown): string {
  try {
    work();
    return 'accepted';
  } catch (error) {
    if (!isNtsError(error, 'NTS_ERR_REPL_RECORD')) throw error;
    return error.message;
  }
}

t.test('CRC-32C as in RFC 3720, B.4', (t) => {
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  t.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
  t.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i))), 0x46dd794e);
  const bytes = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 255));
  for (const cut of [0, 1, 7, 8, 999]) {
    t.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), crc32c(bytes));
  }
  t.end();
});

t.test('a record is what was built, and views share its bytes', (t) => {
  const data = Buffer.from('some data');
  const bytes = buildRecord({
    type: T.write,
    sequence: 12,
    epoch: 3,
    time: 99n,
    setId: 2,
    fileId: ID,
    name: 'a\\b',
    offset: 4096,
    range: data.length,
    data,
  });
  const batch = parseRecords(bytes);
  t.equal(batch.count, 1);
  t.same(
    [batch.type(0), batch.sequence(0), batch.epoch(0), batch.time(0), batch.set(0)],
    [T.write, 12, 3, 99n, 2],
  );
  t.same([batch.name(0), batch.offset(0), batch.range(0)], ['a\\b', 4096, data.length]);
  t.ok(batch.data(0).equals(data) && batch.fileId(0).equals(ID));
  t.equal(batch.data(0).buffer, bytes.buffer, 'no copy');
  t.equal(ReplRecord.decode(bytes.subarray(0, RECORD_BYTES)).sequence, 12n, 'the codec agrees');
  t.end();
});

t.test('no changed byte gets through', (t) => {
  const work = new Workload(21, { operations: 30, writeBytes: 60 });
  let missed = 0;
  let tried = 0;
  for (const record of work.records) {
    for (let at = 0; at < record.length; at++) {
      const bad = Buffer.from(record);
      bad[at]! ^= 1 << (at & 7);
      tried += 1;
      if (scanRecords(bad).stop === Stop.end) missed += 1;
    }
    for (let length = 0; length < record.length; length++) {
      const { stop } = scanRecords(record.subarray(0, length));
      if (stop !== (length === 0 ? Stop.end : Stop.truncated)) missed += 1;
    }
  }
  t.equal(missed, 0, `${tried} bytes`);
  t.end();
});

t.test('pads of a ring are passed over', (t) => {
  const pad = Buffer.alloc(32);
  pad.writeUInt32LE(0x524c5052, 0);
  pad.writeUInt32LE(32, 4);
  const small = Buffer.from(pad.subarray(0, 8));
  small.writeUInt32LE(8, 4);
  const record = buildRecord({ type: T.flush, sequence: 1 });
  const batch = parseRecords(Buffer.concat([pad, record, small, record]));
  t.equal(batch.count, 2);
  t.equal(batch.at(1), 32 + record.length + 8);
  t.end();
});

t.test('what a record says is checked', (t) => {
  const good: RecordFields = { type: T.delete, sequence: 5, setId: 1, fileId: ID, name: 'a' };
  const check = (fields: Partial<RecordFields>): string =>
    why(() => {
      const batch = parseRecords(buildRecord({ ...good, ...fields }));
      checkContent(batch, 0);
    });
  t.equal(check({}), 'accepted');
  for (const name of [
    '..',
    'a\\..\\b',
    '\\a',
    'a\\',
    'a\\\\b',
    'a/b',
    'a\0',
    '.',
    'C:\\..\\x/..',
  ]) {
    t.match(check({ name }), /is no path below a set's root/, JSON.stringify(name));
    const data = Buffer.from(name, 'utf16le');
    t.match(check({ type: T.rename, data }), /is no path/, `to ${JSON.stringify(name)}`);
    t.match(check({ type: T.link, data }), /is no path/);
  }
  const cases: [Partial<RecordFields>, RegExp][] = [
    [{ name: '' }, /no path/],
    [{ setId: 0 }, /no set/],
    [{ fileId: Buffer.alloc(16) }, /no file/],
    [{ data: Buffer.from('x') }, /data where none belongs/],
    [{ offset: 1 }, /an offset where none belongs/],
    [{ range: 1 }, /a range where none belongs/],
    [{ flags: REPL_FLAG_LEFT }, /flags 0x1000/],
    [{ flags: REPL_FLAG_OPEN, bracket: 4 }, /opens bracket 4/],
    [{ flags: REPL_FLAG_OPEN | REPL_FLAG_CLOSE, bracket: 5 }, /opens and closes/],
    [{ flags: REPL_FLAG_CLOSE }, /closes no bracket/],
    [{ bracket: 5 }, /in bracket 5/],
    [{ sequence: 0 }, /no sequence/],
    [{ type: 99 as T }, /type 99.*does not know/],
    [{ type: T.write, range: 5, data: Buffer.alloc(4) }, /4 bytes of data for a range of 5/],
    [
      { type: T.write, offset: Number.MAX_SAFE_INTEGER, range: 1, data: Buffer.alloc(1) },
      /too far/,
    ],
    [{ type: T.create }, /metadata of 0 bytes/],
    [{ type: T.bookmark, name: 'x'.repeat(300) }, /label/],
    [{ type: T.deleteStream, flags: REPL_FLAG_STREAM, name: 'a' }, /no stream's name/],
    [{ type: T.deleteStream, flags: REPL_FLAG_STREAM, name: ':a\\b' }, /no stream's name/],
    [{ type: T.renameStream, flags: REPL_FLAG_STREAM, name: ':a' }, /no stream's name/],
    [{ type: T.setBasic, data: Buffer.alloc(39) }, /39 bytes/],
    [{ type: T.setEa, data: Buffer.alloc(9, 1) }, /extended attribute/],
    [{ type: T.setReparse, data: Buffer.alloc(9) }, /reparse/],
    [{ type: T.setSecurity, data: Buffer.alloc(3), offset: 1 }, /data of 3 bytes/],
    [{ type: T.folder, flags: REPL_FLAG_DIRECTORY, data: Buffer.alloc(47) }, /listing/],
    [{ type: T.bracket, name: '', data: Buffer.alloc(8) }, /neither opens nor closes/],
  ];
  for (const [fields, expected] of cases) {
    const said = check(fields);
    t.match(said, expected);
    t.match(said, /^record \d+ \(/, 'names the record');
  }
  t.end();
});

t.test('payloads come back', (t) => {
  const ea = [
    { flags: 0, name: '$LXMOD', value: Buffer.from([1, 2, 3, 4]) },
    { flags: 0x80, name: 'user.x', value: Buffer.from('value') },
  ];
  t.same(decodeEa(encodeEa(ea)), ea);
  const merged = mergeEa(encodeEa(ea), [
    { flags: 0, name: '$LXMOD', value: Buffer.alloc(0) },
    { flags: 0, name: 'new', value: Buffer.from('n') },
  ]);
  t.same(
    decodeEa(merged).map(({ name }) => name),
    ['user.x', 'new'],
  );
  const metadata = {
    basic: {
      creationTime: 1n,
      lastAccessTime: 2n,
      lastWriteTime: 3n,
      changeTime: 4n,
      attributes: 0x20,
    },
    size: 77,
    allocation: 4096,
    links: 2,
    security: Buffer.from('descriptor'),
    ea: encodeEa(ea),
    reparse: Buffer.alloc(0),
  };
  t.same(decodeMetadata(encodeMetadata(metadata)), metadata);
  const bytes = encodeMetadata(metadata);
  for (let length = 0; length < bytes.length; length++) {
    if (why(() => decodeMetadata(bytes.subarray(0, length))) === 'accepted') t.fail(`${length}`);
  }
  const entry = {
    fileId: ID,
    size: 5,
    lastWriteTime: 6n,
    changeTime: 7n,
    attributes: 0x10,
    name: 'ä日',
  };
  t.same(decodeEntries(encodeEntries([entry, entry])), [entry, entry]);
  t.end();
});

t.test('names on Linux', (t) => {
  const disk = (name: string): string => Buffer.from(diskName(name)).toString('latin1');
  t.equal(disk('plain.txt'), 'plain.txt');
  t.equal(disk('ä'), Buffer.from('ä').toString('latin1'));
  t.equal(disk('\uf03a\uf0ff'), ':\xff', 'as the driver host and WSL map them');
  for (const name of [
    '\uf02e\uf02e',
    '\uf02e',
    'a\uf02fb',
    '\uf000',
    'x'.repeat(256),
    '日'.repeat(90),
  ]) {
    t.match(disk(keepable(name)), /^~ntswift-[0-9a-f]{32}$/, JSON.stringify(name.slice(0, 9)));
  }
  t.match(disk(keepable('\ud800x')), /^~ntswift-/);
  t.not(disk(keepable('\ud800x')), disk(keepable('\ud801x')));
  t.not(keepable('\ud800'), keepable('\uffff' + Buffer.from('\ud800', 'utf16le').toString('hex')));
  t.same(splitPath('a\\b'), ['a', 'b']);
  t.end();
});

t.test('a change of a security descriptor leaves the other parts', (t) => {
  const sid = (rid: number): Buffer => {
    const bytes = Buffer.from([1, 1, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0]);
    bytes.writeUInt32LE(rid, 8);
    return bytes;
  };
  const descriptor = (owner: Buffer | null, dacl: Buffer | null, control: number): Buffer => {
    const head = Buffer.alloc(20);
    head[0] = 1;
    head.writeUInt16LE(0x8000 | control, 2);
    if (owner) head.writeUInt32LE(20, 4);
    if (dacl) head.writeUInt32LE(20 + (owner?.length ?? 0), 16);
    return Buffer.concat([head, owner ?? Buffer.alloc(0), dacl ?? Buffer.alloc(0)]);
  };
  const acl = (fill: number): Buffer => {
    const bytes = Buffer.alloc(16, fill);
    bytes.writeUInt16LE(16, 2);
    return bytes;
  };
  const old = descriptor(sid(500), acl(1), 0x0004);
  const merged = mergeSecurity(old, descriptor(null, acl(2), 0x1004), 4);
  t.ok(merged.equals(descriptor(sid(500), acl(2), 0x1004)));
  t.ok(mergeSecurity(old, descriptor(sid(7), null, 0), 1).equals(descriptor(sid(7), acl(1), 4)));
  t.match(
    why(() => mergeSecurity(old, descriptor(sid(7), null, 0).subarray(0, 24), 1)),
    /cut off/,
  );
  t.end();
});

t.test('blocks that differ', (t) => {
  const a = Buffer.alloc(20_000, 1);
  const b = Buffer.from(a);
  t.same(differences(4096, a, b), []);
  b[5000] = 0;
  b[9000] = 0;
  b[19_999] = 0;
  t.same(differences(4096, a, b), [
    { offset: 8192, length: 8192 },
    { offset: 20_480, length: 3616 },
  ]);
  t.same(differences(100, a.subarray(0, 10), Buffer.alloc(0)), [{ offset: 100, length: 10 }]);
  t.end();
});
