// Frames from a stream that comes in pieces: what is taken is what was written, and memory goes back.
import { PassThrough } from 'node:stream';
import t from 'tap';
import { isNtsError } from '../../userland/common/errors.js';
import { Buffers } from '../../userland/repl/buffers.js';
import { type Frame, FrameKind, readFrames, writeFrame } from '../../userland/repl/protocol.js';
import { Random } from './random.js';

const CIRCLE = 64 << 10;

async function written(frames: readonly Frame[]): Promise<Buffer> {
  const stream = new PassThrough({ highWaterMark: 1 << 30 });
  for (const { kind, bytes } of frames) await writeFrame(stream, kind, bytes);
  return stream.read() as Buffer;
}

function someFrames(random: Random): Frame[] {
  return Array.from({ length: 1 + random.below(20) }, () => ({
    kind: random.chance(0.7) ? FrameKind.records : FrameKind.json,
    bytes: Buffer.alloc(random.chance(0.1) ? 0 : random.below(20_000), random.below(256)),
  }));
}

/** Feeds the bytes in pieces; what was taken, and why it ended. */
async function read(
  bytes: Buffer,
  random: Random,
  buffers: Buffers,
  refuseAt = Infinity,
): Promise<{ taken: Frame[]; error: unknown }> {
  const stream = new PassThrough();
  const taken: Frame[] = [];
  const reading = readFrames(
    stream,
    ({ kind, bytes: payload }) => {
      if (taken.length === refuseAt) throw new Error('refused');
      taken.push({ kind, bytes: Buffer.from(payload) });
      buffers.give(payload);
    },
    buffers,
  ).catch((error: unknown) => error);
  for (let at = 0; at < bytes.length;) {
    const end = at + 1 + random.below(3000);
    stream.write(bytes.subarray(at, end));
    at = end;
  }
  stream.end();
  return { taken, error: await reading };
}

const isWhole = (buffers: Buffers): boolean => {
  const whole = buffers.take(CIRCLE);
  const other = buffers.take(1);
  buffers.give(whole);
  return whole.buffer !== other.buffer && whole.buffer instanceof SharedArrayBuffer;
};

t.test('frames come as they were written, however the bytes are cut', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    const frames = someFrames(random);
    const buffers = new Buffers(CIRCLE);
    const { taken, error } = await read(await written(frames), random, buffers);
    t.same(taken, frames, `seed ${seed}`);
    t.ok(isNtsError(error, 'NTS_ERR_PEER_UNREACHABLE'));
    t.ok(isWhole(buffers));
  }
});

t.test('a stream that ends within a frame, and one that is refused, hold no memory', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    const frames = [...someFrames(random), { kind: FrameKind.records, bytes: Buffer.alloc(9000) }];
    const bytes = await written(frames);
    const buffers = new Buffers(CIRCLE);
    const cut = bytes.subarray(0, bytes.length - 1 - random.below(8000));
    t.same((await read(cut, random, buffers)).taken, frames.slice(0, -1));
    t.ok(isWhole(buffers), `seed ${seed}: cut`);
    const at = random.below(frames.length);
    const { taken, error } = await read(bytes, random, buffers, at);
    t.same(taken, frames.slice(0, at));
    t.match(error, { message: 'refused' });
    t.ok(isWhole(buffers), `seed ${seed}: refused`);
  }
});

t.test('a kind that nobody knows, and a length beyond the limit, are refused', async (t) => {
  for (const header of [
    [16, 4],
    [0xffff_ffff, 1],
  ] as const) {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(header[0], 0);
    bytes.writeUInt32LE(header[1], 4);
    const { taken, error } = await read(bytes, new Random(1), new Buffers(CIRCLE));
    t.same(taken, []);
    t.ok(isNtsError(error, 'NTS_ERR_PEER_PROTOCOL'));
  }
});
