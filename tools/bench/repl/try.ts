import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { builtFile, root } from '../../lab/built.js';
import { cpuTime, sleep, until } from '../../lab/process.js';
import { Replica } from '../../lab/replica.js';

const [bytes = '4096', rate = '2000', seconds = '5'] = process.argv.slice(2);
const folder = mkdtempSync(path.join(root, 'build/try-'));
mkdirSync(folder, { recursive: true });
process.env.NODE_OPTIONS = `--import ${path.join(root, 'dist/tools/bench/repl/probe.js')} ${process.env.EXTRA ?? ''}`;
process.env.NTS_BENCH_LOG = path.join(folder, 'durable');
const replica = await Replica.start(folder, { host: ['--no-verifier'] });
const count = Number(rate) * Number(seconds);
const times = path.join(folder, 'times');
const file = path.join(replica.primary, 'data');
replica.machine.run('sh', '-c', `head -c 67108864 /dev/urandom > ${file}`);
const drained = () => until('drained', () => {
  const { driver, backups } = replica.status('alpha');
  return backups[0]?.durable === driver?.last ? driver!.last : undefined;
}, 120_000, 100);
await drained(); await replica.settled();
await sleep(1500);
const before = await drained();
const program = await replica.machine.spawn(builtFile('bin/bench-write'), file, `bytes=${bytes}`, `rate=${rate}`, `count=${count}`, `times=${times}`, 'hold=1');
let told = '';
program.child.stdout?.on('data', (d: Buffer) => (told += d.toString()));
await until('ready', () => told.includes('ready') || undefined);
const pids = { host: replica.machine.pid, alpha: replica.pid('alpha'), beta: replica.pid('beta') };
const cpu = () => Object.values(pids).map(cpuTime);
if (process.env.EXTRA) { writeFileSync('/tmp/prof/go', ''); await sleep(200); }
const c0 = cpu();
const t0 = performance.now();
program.child.stdin?.write('\n');
await until('done', () => told.includes('}') || undefined, 600_000, 20);
const took = (performance.now() - t0) / 1000;
const c1 = cpu();
if (process.env.EXTRA) { writeFileSync('/tmp/prof/stop', ''); await sleep(1000); }
console.log(told.trim(), `wall ${took.toFixed(2)}`);
Object.keys(pids).forEach((name, i) => console.log(name, 'cpu', ((c1[i]! - c0[i]!) / 1000).toFixed(2), 's', (((c1[i]! - c0[i]!) * 1000) / count).toFixed(1), 'us/write'));
const t1 = performance.now();
const last = await drained();
console.log('drained after', ((performance.now() - t1) / 1000).toFixed(2), 'state', replica.status('alpha').driver?.state, before, last, last - before - count);
await sleep(300);
const raw = readFileSync(process.env.NTS_BENCH_LOG);
const ends = readFileSync(times);
const first = last - count + 1;
const lags: number[] = [];
let row = 0; let groups = 0;
for (let i = 0; i < count; i++) {
  while (row * 16 < raw.length && Number(raw.readBigUInt64LE(row * 16 + 8)) < first + i) { row++; groups++; }
  lags.push((Number(raw.readBigUInt64LE(row * 16)) - Number(ends.readBigUInt64LE(i * 8))) / 1e6);
}
const tenth = Math.floor(count / 10);
for (let i = 0; i < 10; i++) {
  const part = lags.slice(i * tenth, (i + 1) * tenth).sort((a, b) => a - b);
  console.log(`part ${i}: p50 ${part[part.length >> 1]!.toFixed(2)} p99 ${part[Math.floor(part.length * 0.99)]!.toFixed(2)} max ${part.at(-1)!.toFixed(2)} ms`);
}
lags.sort((a, b) => a - b);
console.log(`p50 ${lags[count >> 1]!.toFixed(2)} p99 ${lags[Math.floor(count * 0.99)]!.toFixed(2)} max ${lags.at(-1)!.toFixed(2)} ms; group of`, (count / groups).toFixed(1));
await replica.close();
rmSync(folder, { recursive: true, force: true });
