// Numbered datagrams at a high rate, to count those that are lost.
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Volley, VolleyRequest } from './agent-protocol.js';
import { now } from './clock.js';
import { sleep } from './process.js';

const echoPort = 7;
/** After the last was sent. */
const patienceMs = 1000;
const pollMs = 5;

class Shooter {
  readonly result: Volley;
  private readonly answered = new Set<number>();
  private socket!: Socket;

  constructor(
    source: string,
    private readonly target: string,
  ) {
    this.result = { source, sent: 0, answered: 0, repeated: 0, servers: [] };
  }

  async open(): Promise<void> {
    const { source } = this.result;
    this.socket = createSocket({ type: isIPv6(source) ? 'udp6' : 'udp4', recvBufferSize: 4 << 20 });
    this.socket.on('message', (data) => this.take(data.toString()));
    // ICMP errors come back as errors of the next call; what is lost is counted.
    this.socket.on('error', () => undefined);
    await new Promise<void>((resolve) => this.socket.bind(0, source, () => resolve()));
  }

  private take(text: string): void {
    const [server = '', number = ''] = text.split(' ');
    const { result, answered } = this;
    if (!result.servers.includes(server)) result.servers.push(server);
    if (answered.has(Number(number))) result.repeated += 1;
    answered.add(Number(number));
    result.answered = answered.size;
  }

  shoot(): void {
    this.result.sent += 1;
    this.socket.send(String(this.result.sent), echoPort, this.target, () => undefined);
  }

  close(): void {
    this.socket.close();
  }
}

export async function volley({
  sources,
  targets,
  count,
  periodMs,
}: VolleyRequest): Promise<Volley[]> {
  const shooters = sources.map(
    (source) => new Shooter(source, isIPv6(source) ? targets.ipv6 : targets.ipv4),
  );
  await Promise.all(shooters.map((shooter) => shooter.open()));
  const total = count * shooters.length;
  const started = now();
  for (let shot = 0; shot < total;) {
    // Spread evenly: the n-th is due when it is due, however late the timer is.
    const due = Math.min(total, ((now() - started) * shooters.length) / periodMs);
    for (; shot < due; shot += 1) shooters[shot % shooters.length]!.shoot();
    await sleep(1);
  }
  const deadline = now() + patienceMs;
  while (shooters.some(({ result }) => result.answered < result.sent) && now() < deadline)
    await sleep(pollMs);
  for (const shooter of shooters) shooter.close();
  return shooters.map(({ result }) => result);
}
