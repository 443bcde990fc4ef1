/** Numbers that follow from a seed (xorshift32), for what a lab leaves to chance. */
export class Random {
  private state: number;

  constructor(seed: number) {
    // Seeds that are near each other begin far from each other; zero would stay zero.
    this.state = (Math.imul(seed + 1, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  }

  /** 0 or more, less than 1. */
  next(): number {
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) / 2 ** 32;
  }

  /** Whole numbers from 0 on, less than `count`. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }
}
