/** The backup's program itself, killed at calls that change the disk, SQLite's among them. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { packageRoot } from '../../userland/common/paths.js';
import { Log } from '../../userland/repl/log.js';
import { Replay } from '../../userland/repl/replay.js';
import { scratch } from './cut.js';
import { dumpTree } from './dump.js';
import { Random } from './random.js';
import { STREAM_ID, Workload } from './workload.js';

const KILLS = 30;
const SEED = 77;

const shim = path.join(packageRoot(), 'build', 'host', 'test', 'repl_kill.so');
const victim = path.join(path.dirname(fileURLToPath(import.meta.url)), 'victim.js');

interface Run {
  readonly signal: string | null;
  readonly status: number | null;
  readonly acknowledged: number;
  readonly errors: string;
}

function run(folder: string, env: Record<string, string>): Run {
  const { signal, status, stdout, stderr } = spawnSync(
    process.execPath,
    [victim, folder, String(SEED)],
    { env: { ...process.env, LD_PRELOAD: shim, ...env }, encoding: 'utf8' },
  );
  const acknowledged = Number(stdout.trim().split('\n').at(-1) ?? 0);
  return { signal, status, acknowledged, errors: stderr };
}

const work = new Workload(SEED, { operations: 60 });

function differences(expected: readonly string[], actual: readonly string[]): string {
  return [
    ...expected.filter((line) => !actual.includes(line)).map((line) => `- ${line}`),
    ...actual.filter((line) => !expected.includes(line)).map((line) => `+ ${line}`),
  ].join('\n');
}

/** What a start after the kill finds; '' if all is as it must be. */
async function inspect(folder: string, acknowledged: number): Promise<string> {
  const log = Log.open(path.join(folder, 'log'), { streamId: STREAM_ID });
  const paths = { tree: path.join(folder, 'tree'), state: path.join(folder, 'state') };
  const replay = Replay.open({ log, ...paths, streamId: STREAM_ID });
  try {
    if (log.durable < acknowledged) return `${acknowledged} was acknowledged, not ${log.durable}`;
    while (replay.step());
    if (replay.fault) return replay.fault.error.message;
    if (replay.applied === 0) return '';
    const point = work.points.get(replay.applied);
    return point
      ? differences(point, dumpTree(paths.tree, paths.state, replay.map))
      : `${replay.applied} is no consistent point`;
  } finally {
    replay.close();
    await log.close();
  }
}

const skip = existsSync(shim) ? false : `${shim} is not built`;

t.test(`killed ${KILLS} times at a call that changes the disk`, { skip }, async (t) => {
  const base = scratch();
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  const counter = path.join(base, 'count');
  const whole = run(path.join(base, 'whole'), { NTS_KILL_COUNT: counter });
  t.equal(whole.status, 0, whole.errors);
  t.equal(whole.acknowledged, work.sequence);
  const total = Number(readFileSync(counter, 'utf8'));
  t.ok(total > 200, `${total} calls`);
  const random = new Random(5);
  let killed = 0;
  for (let i = 0; i < KILLS; i++) {
    const folder = path.join(base, `kill${i}`);
    const at = Math.floor((i * total) / KILLS) + 1 + random.below(Math.floor(total / KILLS));
    let { signal, acknowledged } = run(folder, { NTS_KILL_AT: String(at) });
    if (signal === 'SIGKILL') killed += 1;
    // Once more, in the recovery or soon behind it.
    if (i % 2 === 1) {
      const again = run(folder, { NTS_KILL_AT: String(1 + random.below(60)) });
      if (again.signal === 'SIGKILL') killed += 1;
      acknowledged = Math.max(acknowledged, again.acknowledged);
      ({ signal } = again);
    }
    const wrong = await inspect(folder, acknowledged);
    if (wrong !== '') t.fail(`killed at ${at} (${signal ?? 'ended'}): ${wrong}`);
    const rest = run(folder, {});
    const end = await inspect(folder, work.sequence);
    if (rest.status !== 0 || end !== '') t.fail(`killed at ${at}, and on: ${rest.errors}${end}`);
    rmSync(folder, { recursive: true, force: true });
  }
  t.ok(killed >= KILLS * 1.3, `${killed} kills`);
});
