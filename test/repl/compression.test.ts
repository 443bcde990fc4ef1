// Deflated frames: what shrinks and pays comes back as it was; a frame that lies is refused and takes no memory.
import { deflateRawSync } from 'node:zlib';
import t from 'tap';
import { isNtsError } from '../../userland/common/errors.js';
import { packRecords, unpackRecords } from '../../userland/repl/compression.js';
import { FrameKind } from '../../userland/repl/protocol.js';
import { Random } from './random.js';

const names = Buffer.from(
  Array.from({ length: 400 }, (_, i) => `\\folder\\file-${i}.txt, metadata of it `).join(''),
);

t.test('small records shrink, and come back', (t) => {
  const { kind, bytes } = packRecords(names, 400, false);
  t.equal(kind, FrameKind.deflated);
  t.ok(bytes.length * 3 < names.length, `${names.length} bytes become ${bytes.length}`);
  t.ok(unpackRecords(bytes).equals(names));
  t.end();
});

t.test('what does not pay goes as it is', (t) => {
  const noise = new Random(1).bytes(20_000);
  const plain = (bytes: Buffer, count: number, isLimited: boolean): void => {
    const frame = packRecords(bytes, count, isLimited);
    t.equal(frame.kind, FrameKind.records);
    t.equal(frame.bytes, bytes);
  };
  plain(noise, 400, false);
  plain(noise, 400, true);
  plain(names.subarray(0, 500), 10, true);
  plain(names, 2, false);
  t.equal(packRecords(names, 2, true).kind, FrameKind.deflated, 'where the bandwidth is limited');
  t.end();
});

t.test('a frame that is damaged, or longer than it says, is refused', (t) => {
  const { bytes } = packRecords(names, 400, false);
  const refused = (payload: Buffer): void => {
    try {
      unpackRecords(payload);
      t.fail('taken');
    } catch (error) {
      t.ok(isNtsError(error, 'NTS_ERR_PEER_PROTOCOL'), String(error));
    }
  };
  const says = (length: number, deflated: Buffer): Buffer => {
    const header = Buffer.alloc(4);
    header.writeUInt32LE(length);
    return Buffer.concat([header, deflated]);
  };
  const body = bytes.subarray(4);
  for (const length of [0, names.length - 1, names.length + 1, 0xffff_ffff]) {
    refused(says(length, body));
  }
  refused(says(600, deflateRawSync(Buffer.alloc(64 << 20))));
  for (let end = 0; end < bytes.length; end += 7) refused(bytes.subarray(0, end));
  refused(says(names.length, new Random(2).bytes(300)));
  t.end();
});
