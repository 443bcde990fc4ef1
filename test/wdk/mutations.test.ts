/** 30 random mutations of the headers: the referee catches every one. NTS_SEED repeats a run. */
import t from 'tap';
import { script } from './tools.js';

t.setTimeout(280_000);

const seed = process.env.NTS_SEED ?? String(Math.floor(Math.random() * 2 ** 31));
const { status, output } = script('mutate.mjs', '--count', '30', '--seed', seed, '--verbose');
const lines = output.trim().split('\n');
t.comment(`seed ${seed}`);
for (const line of lines.filter((line) => /^(caught|MISSED) \d+:/.test(line)))
  t.ok(line.startsWith('caught'), line);
t.match(lines.at(-1), /^30 of 30 mutations caught/);
t.equal(status, 0);
