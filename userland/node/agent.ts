/**
 * What a node does by itself to stay a good member: it renews its certificate in time, makes its address
 * known, and compares the list of nodes with the others.
 */
import { isNtsError, messageOf } from '../common/errors.js';
import { Authority } from './authority.js';
import { newKey, publicKeyOf } from './keys.js';
import type { LocalNode } from './local-node.js';
import type { Log } from './log.js';
import { NodeClient } from './node-client.js';

/** A certificate is renewed when a third of its life is left. */
const RENEW_AT = 2 / 3;

/** Peers asked at once. */
const PARALLEL = 8;

export interface Exchange {
  readonly node: string;
  readonly error: unknown;
}

export function isRenewalDue(local: LocalNode): boolean {
  const { notBefore, notAfter } = local.identity;
  return local.clock() >= notBefore + RENEW_AT * (notAfter - notBefore);
}

/** By the CA's key here, else by the first node that holds it and answers. */
export async function renewCertificate(local: LocalNode, signal?: AbortSignal): Promise<void> {
  if (await local.loadCa()) {
    const authority = await Authority.of(local, 'renewing a certificate');
    const key = newKey();
    await local.setCertificate(key, await authority.renew(local.id, publicKeyOf(key)));
    return;
  }
  await askAuthority(local, 'renewing a certificate', (client) => client.renew(), signal);
}

/** Tells a holder of the CA's key where this node is, if the list says otherwise. */
export async function announceAddress(local: LocalNode, signal?: AbortSignal): Promise<void> {
  if (local.membership.byId(local.id)?.address === local.address) return;
  if (await local.loadCa()) {
    (await Authority.of(local, 'a new address')).setAddress(local.id, local.address);
    return;
  }
  const { address } = local;
  await askAuthority(local, 'a new address', (client) => client.setAddress(address), signal);
}

async function askAuthority(
  local: LocalNode,
  what: string,
  ask: (client: NodeClient) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  let last: unknown = null;
  for (const { name } of local.membership.authorities) {
    if (name === local.name) continue;
    try {
      await NodeClient.with(local, name, ask, signal ? { signal } : {});
      return;
    } catch (error) {
      last = error;
    }
  }
  // Says which nodes could do it, where none was asked.
  if (last === null) await local.requireCa(what);
  throw last;
}

/** Compares lists with all the others; tells with whom that failed. */
export async function exchangeWithAll(
  local: LocalNode,
  names: readonly string[] = others(local),
  signal?: AbortSignal,
): Promise<Exchange[]> {
  const left = [...names];
  const done: Exchange[] = [];
  const worker = async (): Promise<void> => {
    for (let node = left.shift(); node !== undefined; node = left.shift()) {
      const error = await exchangeWith(local, node, signal);
      done.push({ node, error });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return done.sort((a, b) => (a.node < b.node ? -1 : 1));
}

async function exchangeWith(
  local: LocalNode,
  node: string,
  signal?: AbortSignal,
): Promise<unknown> {
  try {
    const options = signal ? { signal } : {};
    await NodeClient.with(local, node, (client) => client.exchange(), options);
    return null;
  } catch (error) {
    return error;
  }
}

export function others(local: LocalNode): string[] {
  return local.membership.names.filter((one) => one !== local.name);
}

export class Agent {
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> | null = null;
  private again = false;
  private readonly abort = new AbortController();
  private readonly changed = (): void => this.trigger();

  constructor(
    private readonly local: LocalNode,
    private readonly log: Log,
    private readonly interval: number,
  ) {}

  start(): void {
    this.local.membership.on('change', this.changed);
    this.local.on('differs', this.changed);
    this.trigger();
  }

  /** Resolves when nothing of it runs any more. */
  async stop(): Promise<void> {
    this.abort.abort();
    this.local.membership.off('change', this.changed);
    this.local.off('differs', this.changed);
    if (this.timer) clearTimeout(this.timer);
    await this.running;
  }

  private get stopped(): boolean {
    return this.abort.signal.aborted;
  }

  /** Soon; once more where it is under way, since it may have looked already. */
  private trigger(): void {
    if (this.stopped) return;
    if (this.running) {
      this.again = true;
      return;
    }
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    this.running = this.round().finally(() => {
      this.running = null;
      if (this.stopped) return;
      if (this.again) {
        this.again = false;
        this.trigger();
      } else {
        // Not all nodes at the same moment.
        const pause = this.interval * (0.75 + Math.random() / 2);
        this.timer = setTimeout(() => this.trigger(), pause);
      }
    });
  }

  private async round(): Promise<void> {
    const { local, log } = this;
    const { signal } = this.abort;
    const step = async (what: string, work: () => Promise<void>): Promise<void> => {
      try {
        if (!this.stopped) await work();
      } catch (error) {
        log.warn({ why: messageOf(error) }, `${what} failed; it is tried again`);
      }
    };
    await step('reading the state', () => local.reload());
    await step('renewing the certificate', async () => {
      if (!isRenewalDue(local)) return;
      await renewCertificate(local, signal);
      log.info({ expires: new Date(local.identity.notAfter).toISOString() }, 'certificate renewed');
    });
    await step('announcing the address', () => announceAddress(local, signal));
    await step('uniting the lists of nodes', async () => {
      if (await local.loadCa()) (await Authority.of(local, 'uniting lists')).unite();
    });
    await step('comparing the lists of nodes', async () => {
      for (const { node, error } of await exchangeWithAll(local, others(local), signal)) {
        if (error) log.debug({ peer: node, why: messageOf(error) }, 'cannot compare lists');
        if (isNtsError(error, 'NTS_ERR_NODE_REVOKED') && error.facts.peer !== undefined) {
          log.error({ peer: node }, 'this node was removed from the cluster');
        }
      }
    });
  }
}
