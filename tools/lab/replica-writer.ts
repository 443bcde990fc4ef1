// writer.ts on the primary, as a test has it.
import path from 'node:path';
import { root } from './built.js';
import type { Running } from './namespace.js';
import { LabError, until } from './process.js';
import type { Replica } from './replica.js';

const program = path.join(root, 'dist/tools/lab/writer.js');

export class Writer {
  count = 0;
  private word = '';
  private running: Running | undefined;

  /** In a folder of its own in the set; `perSecond` 0: as fast as it can. */
  static async start(replica: Replica, seed: number, perSecond = 0): Promise<Writer> {
    const writer = new Writer();
    const folder = path.join(replica.primary, `writer${seed}`);
    replica.machine.run('mkdir', '-p', folder);
    const heard = (line: string): void => {
      const [, word = '', count = ''] = /^(?:([a-z]+) )?(.*)$/.exec(line) ?? [];
      writer.word = word === 'error' ? line : word;
      writer.count = Number(count) || writer.count;
    };
    writer.running = await replica.program(heard, program, folder, String(seed), `${perSecond}`);
    return writer;
  }

  /** The process. */
  get program(): Running {
    if (!this.running) throw new LabError('the writer does not run');
    return this.running;
  }

  /** What it could not do; null: it could do everything. */
  get fault(): string | null {
    return this.word.startsWith('error') ? this.word : null;
  }

  private say(order: string): void {
    this.running?.child.stdin?.write(`${order}\n`);
  }

  private async heard(word: string, timeoutMs = 60_000): Promise<void> {
    await until(
      `the writer to be ${word}`,
      () => {
        // A program must not notice what happens to replication.
        if (this.word.startsWith('error')) throw new LabError(this.word);
        return this.word === word ? true : undefined;
      },
      timeoutMs,
    );
  }

  /** It has done so many more. */
  async more(count: number): Promise<void> {
    const goal = this.count + count;
    await until(
      `${count} more operations`,
      () => {
        if (this.word.startsWith('error')) throw new LabError(this.word);
        return this.count >= goal ? true : undefined;
      },
      60_000,
    );
  }

  async stand(timeoutMs?: number): Promise<void> {
    this.say('stand');
    await this.heard('standing', timeoutMs);
  }

  go(): void {
    this.word = '';
    this.say('go');
  }

  async end(): Promise<void> {
    this.say('end');
    await this.heard('ended');
  }
}
