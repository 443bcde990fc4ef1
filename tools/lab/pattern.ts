// What a download of the lab's server is made of: the byte at each place is known, so that every byte can be checked where it arrives.
//
// The period is a prime, so that no loss, repetition or exchange of whole segments can look right by chance; and each download begins at
// a place of its own, so that bytes of another one are wrong.

const period = 65_521;

/** Two periods: any run of up to one period is a slice of it. */
const bytes = Buffer.alloc(2 * period);
let state = 1;
for (let i = 0; i < period; i += 1) {
  // Numerical Recipes' generator; its high bits are the random ones.
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  bytes[i] = bytes[i + period] = state >>> 24;
}

/** The longest piece that `piece` gives. */
export const longestPiece = period;

/** `length` bytes of the download with this seed, from `offset` on. */
export function piece(seed: number, offset: number, length: number): Buffer {
  const at = (seed + offset) % period;
  return bytes.subarray(at, at + length);
}

/** Where `data`, which stands at `offset`, first differs; -1: nowhere. */
export function firstDifference(seed: number, offset: number, data: Buffer): number {
  for (let done = 0; done < data.length; done += period) {
    const part = data.subarray(done, done + period);
    const expected = piece(seed, offset + done, part.length);
    if (part.equals(expected)) continue;
    return offset + done + part.findIndex((byte, i) => byte !== expected[i]);
  }
  return -1;
}
