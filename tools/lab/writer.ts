// A program that changes files in a folder in every way: node writer.js FOLDER SEED [PER_SECOND]. Lines on its input say "stand",
// "go" and "end". It prints how many operations it has done; the first that fails ends it with status 1 and the reason.
import {
  appendFileSync,
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { messageOf } from '../../userland/common/errors.js';

const [folder = '.', seed = '1', perSecond = '0'] = process.argv.slice(2);

let state = Number(seed) >>> 0;

/** mulberry32: the same numbers for the same seed. */
function below(limit: number): number {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) % limit;
}

function bytes(most: number): Buffer {
  const buffer = Buffer.alloc(1 + below(most));
  for (let i = 0; i + 4 <= buffer.length; i += 4) buffer.writeUInt32LE(below(0xffff_ffff), i);
  return buffer;
}

const files: string[] = [];
const folders: string[] = [folder];
let made = 0;

function fresh(): string {
  made += 1;
  return path.join(folders[below(folders.length)]!, `n${made}`);
}

function some(): string {
  if (files.length === 0) create();
  return files[below(files.length)]!;
}

function create(): void {
  const name = fresh();
  writeFileSync(name, bytes(20_000));
  files.push(name);
}

function overwrite(): void {
  const fd = openSync(some(), 'r+');
  writeSync(fd, bytes(9000), null, undefined, below(200_000));
  if (below(10) === 0) fsyncSync(fd);
  closeSync(fd);
}

function rename(): void {
  const at = below(files.length);
  const from = files[at];
  if (from === undefined) return;
  if (below(3) === 0 && files.length > 1) {
    // Over another one, as programs save files.
    const other = (at + 1) % files.length;
    renameSync(from, files[other]!);
    files.splice(at, 1);
    return;
  }
  const to = fresh();
  renameSync(from, to);
  files[at] = to;
}

function remove(): void {
  if (files.length < 60) return;
  rmSync(files.splice(below(files.length), 1)[0]!);
}

function link(): void {
  const to = fresh();
  linkSync(some(), to);
  files.push(to);
}

function makeFolder(): void {
  if (folders.length > 20) return;
  const name = fresh();
  mkdirSync(name);
  folders.push(name);
}

function moveFolder(): void {
  const at = below(folders.length);
  const from = folders[at]!;
  if (from === folder) return;
  const to = path.join(folder, `moved${(made += 1)}`);
  renameSync(from, to);
  const moved = (name: string): string =>
    name === from || name.startsWith(`${from}/`) ? to + name.slice(from.length) : name;
  folders.forEach((name, i) => (folders[i] = moved(name)));
  files.forEach((name, i) => (files[i] = moved(name)));
}

const operations: (() => void)[] = [
  ...Array.from({ length: 8 }, () => overwrite),
  ...Array.from({ length: 4 }, () => create),
  ...Array.from({ length: 3 }, () => rename),
  ...Array.from({ length: 3 }, () => remove),
  () => appendFileSync(some(), bytes(5000)),
  () => truncateSync(some(), below(30_000)),
  () => chmodSync(some(), 0o600 + below(0o100)),
  () => symlinkSync('nowhere', fresh()),
  link,
  makeFolder,
  moveFolder,
  () => readdirSync(folders[below(folders.length)]!),
];

type Order = 'go' | 'stand' | 'end';

let order: Order = 'go';
const ordered = (): Order => order;
let wake = (): void => undefined;
process.stdin.on('data', (data: Buffer) => {
  order = data.toString().trim().split('\n').at(-1) as Order;
  wake();
});

let done = 0;
const started = performance.now();
const pace = Number(perSecond);

function work(): void {
  const until = performance.now() + 20;
  while (performance.now() < until) {
    if (pace > 0 && done > ((performance.now() - started) / 1000) * pace) return;
    operations[below(operations.length)]!();
    done += 1;
  }
}

try {
  while (ordered() !== 'end') {
    if (ordered() === 'stand') {
      console.log(`standing ${done}`);
      await new Promise<void>((resolve) => (wake = resolve));
      continue;
    }
    work();
    console.log(done);
    await new Promise((resolve) => setTimeout(resolve, pace > 0 ? 10 : 0));
  }
  console.log(`ended ${done}`);
  process.exit(0);
} catch (error) {
  console.log(`error ${messageOf(error)}`);
  process.exit(1);
}
