/** So many bytes a second at most; a burst of a tenth of a second is let through. */
const BURST_SECONDS = 0.1;

export class Limiter {
  private allowance = 0;
  private last = performance.now();

  /** null: no limit. */
  constructor(public bytesPerSecond: number | null) {}

  get isLimited(): boolean {
    return this.bytesPerSecond !== null;
  }

  /** Waits until so many bytes may be sent. */
  async take(bytes: number, signal: AbortSignal): Promise<void> {
    const rate = this.bytesPerSecond;
    if (rate === null) return;
    const now = performance.now();
    this.allowance += ((now - this.last) / 1000) * rate;
    this.allowance = Math.min(this.allowance, rate * BURST_SECONDS) - bytes;
    this.last = now;
    if (this.allowance >= 0) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, (-this.allowance / rate) * 1000);
      signal.addEventListener('abort', done, { once: true });
    });
  }
}
