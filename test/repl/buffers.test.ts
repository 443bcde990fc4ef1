// The circle of buffers: what is in use is nobody else's, and what is given back is used again.
import t from 'tap';
import { Buffers } from '../../userland/repl/buffers.js';
import { Random } from './random.js';

const BYTES = 64 << 10;

const isOwn = (piece: Buffer, buffers: Buffers): boolean => {
  const again = buffers.take(1);
  const isSame = again.buffer === piece.buffer;
  buffers.give(again);
  return isSame;
};

t.test('pieces in use never overlap, whatever is taken and given', (t) => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = new Random(seed);
    const buffers = new Buffers(BYTES);
    const used: { piece: Buffer; mark: number }[] = [];
    for (let step = 0; step < 2000; step++) {
      if (used.length > 0 && random.chance(0.5)) {
        // Mostly the oldest.
        const at = random.chance(0.8) ? 0 : random.below(used.length);
        const [{ piece, mark }] = used.splice(at, 1) as [(typeof used)[0]];
        if (piece.some((byte) => byte !== mark)) return t.fail(`seed ${seed}, step ${step}`);
        buffers.give(piece);
      } else {
        const piece = buffers.take(random.below(random.chance(0.1) ? 2 * BYTES : 4000));
        const mark = random.below(256);
        piece.fill(mark);
        used.push({ piece, mark });
      }
    }
    for (const { piece } of used) buffers.give(piece);
    const whole = buffers.take(BYTES);
    t.equal(whole.length, BYTES);
    t.not(buffers.take(1).buffer, whole.buffer, `seed ${seed}: all of the circle can be taken`);
    buffers.give(whole);
    t.ok(isOwn(whole, buffers));
  }
  t.end();
});

t.test('what it did not give, it does not take', (t) => {
  const buffers = new Buffers(4096);
  const piece = buffers.take(4096);
  buffers.give(Buffer.alloc(4096));
  t.not(buffers.take(1).buffer, piece.buffer);
  t.end();
});
