// Connections that must not break: downloads that last, every byte of which is checked, and idle ones that must answer when they are asked.
import { connect, isIPv6, type Socket } from 'node:net';
import type { FlowsRequest, FlowState } from './agent-protocol.js';
import { now } from './clock.js';
import { HttpReader, type ResponseHandler } from './http-reader.js';
import { firstDifference } from './pattern.js';
import { sleep } from './process.js';

const openTimeoutMs = 10_000;
/** Opened at once: a flood of SYNs is another test. */
const openingWidth = 32;
const pollMs = 5;
/** A download has a piece every 50 ms. */
const checkRounds = 6;

abstract class Flow implements ResponseHandler {
  abstract readonly kind: FlowState['kind'];
  protected server: string | null = null;
  protected received = 0;
  protected answers = 0;
  protected closing = false;
  private error: string | null = null;
  private readonly socket: Socket;
  private readonly reader = new HttpReader(this);

  constructor(
    readonly source: string,
    target: string,
  ) {
    this.socket = connect({ host: target, port: 80, localAddress: source, noDelay: true });
    this.socket.on('connect', () => this.opened());
    this.socket.on('data', (data) => {
      try {
        this.reader.feed(data);
      } catch (error) {
        this.fail(error instanceof Error ? error.message : String(error));
      }
    });
    this.socket.on('error', (error) => this.fail(error.message));
    this.socket.on('close', () => this.fail('closed'));
  }

  protected abstract opened(): void;
  abstract body(data: Buffer): void;
  abstract end(): void;

  head(server: string): void {
    this.server ??= server;
    if (server !== this.server) this.fail(`answered by ${server}, and by ${this.server} before`);
  }

  protected request(path: string): void {
    if (this.error === null) this.socket.write(`GET ${path} HTTP/1.1\r\nHost: cluster\r\n\r\n`);
  }

  /** The first fault counts; what follows from it says nothing. */
  fail(error: string): void {
    if (this.closing) return;
    this.error ??= error;
    this.socket.destroy();
  }

  get broken(): boolean {
    return this.error !== null;
  }

  /** Nothing more will come by itself. */
  abstract get complete(): boolean;

  /** Grows whenever something came. */
  get progress(): number {
    return this.received + this.answers;
  }

  state(): FlowState {
    const { source, kind, server, received, error } = this;
    return { source, kind, server, received, worstGapMs: this.worstGapMs(), error };
  }

  protected worstGapMs(): number {
    return 0;
  }

  close(): void {
    this.closing = true;
    this.socket.destroy();
  }
}

class Download extends Flow {
  readonly kind = 'download';
  private whole = false;
  private last: number | null = null;
  private worst = 0;

  constructor(
    source: string,
    target: string,
    private readonly seed: number,
    private readonly request_: Pick<FlowsRequest, 'bytes' | 'bytesPerSecond'>,
  ) {
    super(source, target);
  }

  protected opened(): void {
    const { bytes, bytesPerSecond } = this.request_;
    this.request(`/download?bytes=${bytes}&rate=${bytesPerSecond}&seed=${this.seed}`);
  }

  body(data: Buffer): void {
    if (this.whole) return;
    const at = firstDifference(this.seed, this.received, data);
    this.received += data.length;
    const time = now();
    if (this.last !== null) this.worst = Math.max(this.worst, time - this.last);
    this.last = time;
    if (at >= 0) this.fail(`a wrong byte at ${at}`);
  }

  end(): void {
    this.answers += 1;
    if (this.whole) return;
    if (this.received !== this.request_.bytes)
      this.fail(`${this.received} bytes of ${this.request_.bytes}`);
    this.whole = true;
  }

  /** The rest, and the answer behind it. */
  hurry(): void {
    this.request('/finish');
  }

  get complete(): boolean {
    return this.whole;
  }

  get finished(): boolean {
    return this.answers === 2;
  }

  protected override worstGapMs(): number {
    return this.worst;
  }

  forgetGap(): void {
    this.worst = 0;
  }
}

class Idle extends Flow {
  readonly kind = 'idle';
  readonly complete = false;

  protected opened(): void {
    this.request('/');
  }

  body(data: Buffer): void {
    this.received += data.length;
  }

  end(): void {
    this.answers += 1;
  }

  ask(): void {
    this.request('/');
  }
}

export class Flows {
  private constructor(
    private readonly downloads: Download[],
    private readonly idle: Idle[],
  ) {}

  static async open(request: FlowsRequest): Promise<Flows> {
    const { downloads, idle, targets } = request;
    const target = (source: string) => (isIPv6(source) ? targets.ipv6 : targets.ipv4);
    const flows = new Flows([], []);
    const openers = [
      ...downloads.map((source, seed) => () => {
        const flow = new Download(source, target(source), seed, request);
        flows.downloads.push(flow);
        return flow;
      }),
      ...idle.map((source) => () => {
        const flow = new Idle(source, target(source));
        flows.idle.push(flow);
        return flow;
      }),
    ];
    const worker = async () => {
      for (let open = openers.shift(); open; open = openers.shift()) {
        const flow = open();
        await flows.settle([flow], () => flow.progress > 0, openTimeoutMs, 'not open');
      }
    };
    await Promise.all(Array.from({ length: openingWidth }, worker));
    return flows;
  }

  private get all(): Flow[] {
    return [...this.downloads, ...this.idle];
  }

  /** Waits until each of the flows is broken or `done`; those that are neither in time are broken by that. */
  private async settle<T extends Flow>(
    flows: T[],
    done: (flow: T) => boolean,
    timeoutMs: number,
    fault: string,
  ): Promise<void> {
    const deadline = now() + timeoutMs;
    let left = flows;
    for (;;) {
      left = left.filter((flow) => !flow.broken && !done(flow));
      if (left.length === 0) return;
      if (now() > deadline) break;
      await sleep(pollMs);
    }
    for (const flow of left) flow.fail(`${fault} within ${timeoutMs} ms`);
  }

  state(): FlowState[] {
    return this.all.map((flow) => flow.state());
  }

  /**
   * Asks on each idle connection, and waits until all were answered and all downloads went on; several times over, since what has changed
   * may show a little later only.
   */
  async check(timeoutMs: number): Promise<FlowState[]> {
    for (let round = 1; round <= checkRounds; round += 1) {
      const before = new Map(this.all.map((flow) => [flow, flow.progress]));
      for (const idle of this.idle) idle.ask();
      await this.settle(
        this.all,
        (flow) => flow.complete || flow.progress > before.get(flow)!,
        timeoutMs,
        'nothing came',
      );
    }
    return this.state();
  }

  forgetGaps(): void {
    for (const download of this.downloads) download.forgetGap();
  }

  /** Lets the downloads come to their ends, and closes everything. Those of `servers` alone, where it is given; the others go on. */
  async finish(timeoutMs: number, servers: string[] | null): Promise<FlowState[]> {
    const ours = <T extends Flow>(flows: T[]) =>
      flows.filter((flow) => servers === null || servers.includes(flow.state().server ?? ''));
    const downloads = ours(this.downloads);
    for (const download of downloads) download.hurry();
    await this.settle(downloads, (flow) => flow.finished, timeoutMs, 'not complete');
    const ended = ours(this.all);
    const states = ended.map((flow) => flow.state());
    for (const flow of ended) flow.close();
    const gone = new Set<Flow>(ended);
    for (const list of [this.downloads, this.idle] as Flow[][])
      list.splice(0, list.length, ...list.filter((flow) => !gone.has(flow)));
    return states;
  }

  close(): void {
    for (const flow of this.all) flow.close();
  }
}
