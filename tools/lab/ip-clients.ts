// Clients that use all of IP: fragments in any order, options, extension headers (tools/lab/ip.c).
import { createInterface, type Interface } from 'node:readline';
import { builtFile } from './built.js';
import type { Client } from './client.js';
import type { Running } from './namespace.js';
import { ended, LabError } from './process.js';

/** See tools/lab/ip.c. */
export type Question =
  'small' | 'options' | 'connect' | `large ${number}` | `twice ${number}` | `pair ${number}`;

/** Of each source the server's name, or "lost", or "wrong". */
export type Answers = Map<string, string>;

export class IpClients {
  private answers: Answers = new Map();
  private waiting: { resolve: (answers: Answers) => void; reject: (error: Error) => void } | null =
    null;
  private readonly lines: Interface;

  private constructor(private readonly running: Running) {
    this.lines = createInterface(running.child.stdout!);
    this.lines.on('line', (line) => this.take(line));
    running.child.once('exit', (code) =>
      this.waiting?.reject(new LabError(`lab-ip ended with ${code}`)),
    );
  }

  static async start(client: Client, target: string, sources: string[]): Promise<IpClients> {
    return new IpClients(
      await client.namespace.spawn(builtFile('bin/lab-ip'), [target, ...sources], {
        stdio: ['pipe', 'pipe', 'inherit'],
      }),
    );
  }

  private take(line: string): void {
    if (line === 'done') {
      this.waiting?.resolve(this.answers);
      this.waiting = null;
      return;
    }
    const [source = '', answer = ''] = line.split(' ');
    this.answers.set(source, answer);
  }

  /** Each source in turn. */
  ask(question: Question): Promise<Answers> {
    this.answers = new Map();
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.running.child.stdin?.write(`${question}\n`);
    });
  }

  /** Asks anew, of all, while some had no answer: a datagram may get lost on a machine that does other things too. What came counts. */
  async askAll(question: Question, attempts = 3): Promise<Answers> {
    const all = await this.ask(question);
    for (let n = 1; n < attempts && [...all.values()].includes('lost'); n += 1) {
      for (const [source, answer] of await this.ask(question))
        if (all.get(source) === 'lost') all.set(source, answer);
    }
    return all;
  }

  async stop(): Promise<void> {
    this.running.child.stdin?.end();
    await ended(this.running.child);
  }
}

/** Those that were answered by others than `expected`, or not, as text. */
export function otherwise(answers: Answers, expected: Answers): string[] {
  return [...expected]
    .filter(([source, server]) => answers.get(source) !== server)
    .map(([source, server]) => `${source}: ${answers.get(source) ?? 'nothing'}, not ${server}`);
}
