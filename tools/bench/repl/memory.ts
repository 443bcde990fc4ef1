// How much memory processes take: the highest of many looks.
import { readFileSync } from 'node:fs';

const EVERY_MILLISECONDS = 100;

/** Bytes of a process: its own, and what it shares (the ring). Pages of files are not counted. */
function bytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return [...status.matchAll(/^Rss(?:Anon|Shmem):\s+(\d+) kB$/gm)].reduce(
    (sum, [, kilobytes]) => sum + Number(kilobytes) * 1024,
    0,
  );
}

export class MemoryWatch {
  private readonly before: number;
  private highest: number;
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly pids: readonly number[]) {
    this.before = this.highest = this.now();
    this.timer = setInterval(
      () => (this.highest = Math.max(this.highest, this.now())),
      EVERY_MILLISECONDS,
    );
  }

  private now(): number {
    return this.pids.reduce((sum, pid) => sum + bytesOf(pid), 0);
  }

  /** What was taken more than at the beginning, at most. */
  end(): number {
    clearInterval(this.timer);
    return Math.max(this.highest, this.now()) - this.before;
  }
}
