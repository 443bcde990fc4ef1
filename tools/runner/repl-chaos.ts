// Anything of REPL fails, at random moments and several at once, while programs write; after each failure the promise is checked.
// Lives of some minutes: another seed each, and with it other machines.
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Chaos } from '../lab/chaos.js';
import { chaosEvents, type ChaosEvent, type Outage } from '../lab/chaos-events.js';
import { sleep } from '../lab/process.js';

type Check = (ok: boolean, text: string) => void;

const LIFE_MILLISECONDS = 6 * 60_000;

/** So many events at most until all must be well and the same. */
const MOST_UNCHECKED = 5;

type Heals = Map<ChaosEvent, () => Promise<void>>;

const sum = { events: 0, checks: 0, violations: 0 };

export async function runReplChaos(
  minutes: number,
  firstSeed: number,
  check: Check,
): Promise<void> {
  console.log(`${minutes} minutes of failures at random, while programs write`);
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  process.once('SIGINT', interrupt);
  const end = performance.now() + minutes * 60_000;
  for (let seed = firstSeed; performance.now() < end && !interrupted.signal.aborted; seed += 1) {
    await life(seed, Math.min(end, performance.now() + LIFE_MILLISECONDS), interrupted.signal);
  }
  process.off('SIGINT', interrupt);
  const { events, checks, violations } = sum;
  check(violations === 0, `${events} events, ${checks} checks, ${violations} violations`);
}

async function life(seed: number, end: number, interrupted: AbortSignal): Promise<void> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nts-chaos-'));
  let chaos: Chaos | null = null;
  let keeps = false;
  try {
    chaos = await Chaos.start(folder, seed);
    const what = `${chaos.mode}, ${chaos.two ? 'two driver hosts' : 'the backup on a disk of its own'}`;
    console.log(`       seed ${seed}: ${what}`);
    const rounds = new Rounds(chaos, `seed ${seed}`);
    while (performance.now() < end && !interrupted.aborted) await rounds.next();
    if (!interrupted.aborted) await rounds.level('at the end');
  } catch (error) {
    // Ctrl-C reaches the lab's programs, too.
    if (!interrupted.aborted) {
      keeps = true;
      sum.violations += 1;
      const why = error instanceof Error ? error.message : String(error);
      console.log(`       seed ${seed}: VIOLATION: ${why}\n       what is left: ${folder}`);
    }
  } finally {
    sum.checks += chaos?.checks ?? 0;
    await chaos?.close();
    if (!keeps) rmSync(folder, { recursive: true, force: true });
  }
}

class Rounds {
  private number = 0;
  private unchecked = 0;

  constructor(
    private readonly chaos: Chaos,
    private readonly name: string,
  ) {}

  private say(text: string): void {
    console.log(`       ${this.name}, ${this.number}: ${text}`);
  }

  /** One event, or one during another; then all that is wrong is made good, and perhaps waited for. */
  async next(): Promise<void> {
    const { chaos } = this;
    await sleep(chaos.chance(1500));
    chaos.look();
    const first = this.pick([]);
    const heals: Heals = new Map();
    const begin = async (event: ChaosEvent): Promise<void> => {
      this.number += 1;
      this.unchecked += 1;
      sum.events += 1;
      const begun = performance.now();
      let outage: Outage;
      try {
        outage = await event.begin(chaos);
      } catch (error) {
        throw new Error(`${event.name}: ${(error as Error).message}`, { cause: error });
      }
      if (outage.heal) heals.set(event, outage.heal);
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      this.say(`${event.name}${outage.text && `, ${outage.text}`} (${seconds} s)`);
    };
    await begin(first);
    if (chaos.is(0.7)) await first.named?.(chaos);
    if (!first.parts.includes('all') && chaos.is(0.35)) await begin(this.pick(first.parts));
    const isSilent = [...heals.keys()].some(({ silent }) => silent);
    await sleep(chaos.chance(isSilent ? 3000 : 500));
    if (isSilent && !chaos.isFull && chaos.is(0.6)) await this.audit(heals);
    chaos.unnoticed();
    while (heals.size > 0) {
      const [event, heal] = [...heals][chaos.random.below(heals.size)]!;
      heals.delete(event);
      await heal();
      await sleep(chaos.chance(500));
    }
    if (this.unchecked >= MOST_UNCHECKED || chaos.is(0.4)) await this.level('after that');
  }

  async level(when: string): Promise<void> {
    this.unchecked = 0;
    this.say(`${when}: ${await this.chaos.level()}`);
  }

  /** Where nothing comes. The backup is asked, and so it is there, or is there again. */
  private async audit(heals: Heals): Promise<void> {
    const { chaos } = this;
    const beta = [...heals].find(([{ parts }]) => parts.includes('beta'));
    if (beta) {
      heals.delete(beta[0]);
      await beta[1]();
    } else if (chaos.is(0.3)) {
      await chaos.replica.stopService('beta');
      await chaos.replica.startService('beta');
    }
    this.say(await chaos.audit());
  }

  private pick(taken: readonly string[]): ChaosEvent {
    const { chaos } = this;
    const where = chaos.two ? 'two' : 'one';
    const possible = chaosEvents.filter((event) => {
      if (event.where && event.where !== where) return false;
      if (taken.length === 0) return true;
      return !event.parts.some((part) => part === 'all' || taken.includes(part));
    });
    let at = chaos.random.next() * possible.reduce((all, { weight }) => all + weight, 0);
    return possible.find(({ weight }) => (at -= weight) < 0) ?? possible[0]!;
  }
}
