/** The addon's own words in shared memory, and its checksum. */
import { existsSync } from 'node:fs';
import t from 'tap';
import { crc32c, loadAcquire, storeRelease } from '../../native/addon/ts/index.js';
import { addonCandidates } from '../../userland/common/paths.js';

const skip = addonCandidates().some(existsSync) ? false : 'the addon is not built';

/** Bit by bit, as RFC 3720 defines it. */
function byDefinition(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

t.test('CRC-32C', { skip }, (t) => {
  // RFC 3720, B.4
  t.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  t.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43);
  t.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i))), 0x46dd794e);
  t.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i))), 0x113fdb5c);
  t.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  t.equal(crc32c(Buffer.alloc(0)), 0);

  const data = Buffer.from(Array.from({ length: 20000 }, (_, i) => (i * i * 31) >> 3));
  for (const length of [1, 7, 8, 9, 4079, 4080, 4081, 8160, 8161, 19990]) {
    for (const start of [0, 1, 5]) {
      const part = data.subarray(start, start + length);
      t.equal(crc32c(part), byDefinition(part), `${length} bytes at ${start}`);
      const cut = length >> 1;
      t.equal(crc32c(part.subarray(cut), crc32c(part.subarray(0, cut))), crc32c(part));
    }
  }
  t.end();
});

t.test('words', { skip }, (t) => {
  const memory = new Uint8Array(new ArrayBuffer(64));
  storeRelease(memory, 8, 0x0102030405060708n);
  t.same([...memory.subarray(8, 16)], [8, 7, 6, 5, 4, 3, 2, 1]);
  t.equal(loadAcquire(memory, 8), 0x0102030405060708n);
  t.equal(loadAcquire(memory.subarray(8), 0), 0x0102030405060708n);
  storeRelease(memory, 56, 2n ** 64n - 1n);
  t.equal(loadAcquire(memory, 56), 2n ** 64n - 1n);
  for (const offset of [57, 64, 1, 4, -8, NaN, 2 ** 40]) {
    t.throws(() => loadAcquire(memory, offset), RangeError, `${offset}`);
    t.throws(() => storeRelease(memory, offset, 0n), RangeError, `${offset}`);
  }
  t.throws(() => loadAcquire(new Uint8Array(7), 0), RangeError);
  t.throws(() => storeRelease(memory, 0, 2n ** 64n), RangeError);
  t.throws(() => storeRelease(memory, 0, -1n), RangeError);
  t.end();
});
