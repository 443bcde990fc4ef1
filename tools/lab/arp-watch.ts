// What the client machine hears and is told by ARP about an address.
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { builtFile } from './built.js';
import type { Client } from './client.js';
import { now } from './clock.js';
import { ended, sleep, until } from './process.js';

export interface Claim {
  /** CLOCK_MONOTONIC, ms. */
  at: number;
  kind: 'reply' | 'announcement';
  mac: string;
}

/** Between two of our own requests: slower than any limit on replies. */
const askEveryMs = 20;

export class ArpWatch {
  private readonly claims: Claim[] = [];
  private ready = false;

  private constructor(private readonly child: ChildProcess) {
    createInterface(child.stdout!).on('line', (line) => {
      if (line === 'ready') this.ready = true;
      const [at, kind, mac = ''] = line.split(' ');
      if (kind === 'reply' || kind === 'announcement')
        this.claims.push({ at: Number(at), kind, mac });
    });
  }

  static async start(client: Client, address: string): Promise<ArpWatch> {
    const { child } = await client.namespace.spawn(builtFile('bin/lab-arp'), ['eth0', address], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const watch = new ArpWatch(child);
    await until('the ARP watch', () => (watch.ready ? true : undefined));
    return watch;
  }

  announcements(since: number): Claim[] {
    return this.claims.filter(({ at, kind }) => kind === 'announcement' && at >= since);
  }

  replies(since: number): Claim[] {
    return this.claims.filter(({ at, kind }) => kind === 'reply' && at >= since);
  }

  /** Asks some times; returns what was answered, once each request can have been. */
  async ask(times: number): Promise<Claim[]> {
    const started = now();
    for (let n = 0; n < times; n += 1) {
      this.child.stdin?.write('ask\n');
      await sleep(askEveryMs);
    }
    await until('an answer to each request', () =>
      this.replies(started).length >= times ? true : undefined,
    );
    return this.replies(started);
  }

  async stop(): Promise<void> {
    this.child.stdin?.end();
    await ended(this.child);
  }
}
