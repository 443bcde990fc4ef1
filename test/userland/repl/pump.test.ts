/** From the driver's ring over TLS to the backup's tree: links that break, rings and journals that are full. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { askRepl } from '../../../userland/repl/control-client.js';
import type { NodeReplView } from '../../../userland/repl/view.js';
import { addSet, dump, linkOf, settled, startPair } from './pair.js';
import type { FolderDriver } from './folder-driver.js';

/** What a program may do, by a seed. */
function work(driver: FolderDriver, steps: number, seed: number): void {
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  const files = Object.entries(dump(driver.folder))
    .filter(([, what]) => what !== 'folder')
    .map(([name]) => name);
  for (let i = 0; i < steps; i++) {
    const what = random(20);
    const file = files[random(files.length || 1)];
    if (!file || what === 0) {
      const name = `file-${seed}-${i}`;
      driver.create(name);
      files.push(name);
    } else if (what === 1 && files.length > 3) {
      driver.remove(file);
      files.splice(files.indexOf(file), 1);
    } else if (what === 2) {
      const other = files[random(files.length)]!;
      if (other === file) continue;
      driver.rename(file, other);
      files.splice(files.indexOf(file), 1);
    } else if (what === 3) driver.resize(file, random(100_000));
    else driver.write(file, random(100_000), Buffer.alloc(1 + random(5000), i));
  }
}

void t.test('a set is synchronised, then followed', async (t) => {
  const pair = await startPair(t);
  mkdirSync(path.join(pair.driver.folder, 'sub'));
  writeFileSync(path.join(pair.driver.folder, 'sub', 'old'), randomBytes(300_000));
  writeFileSync(path.join(pair.driver.folder, 'sparse'), Buffer.alloc(1 << 20));
  writeFileSync(path.join(pair.driver.folder, 'empty'), '');
  const view = await addSet(pair);
  t.match(view, { role: 'primary', sets: [{ name: 'data', mode: 'async' }] });
  work(pair.driver, 500, 1);
  await settled(pair);
  const there = dump(path.join(pair.tree, 'data'));
  t.same(there, dump(pair.driver.folder));
  t.ok(Object.keys(there).length >= 3);
  t.ok(pair.driver.rangeBytes < 400_000, 'zeros do not travel');
  const status = (await askRepl(pair.a.local, 'b', 'status', {})) as NodeReplView;
  t.match(status.hosted, [{ primary: 'a', connected: true, fault: null, openBrackets: 0 }]);
  work(pair.driver, 2000, 2);
  await settled(pair);
  t.same(dump(path.join(pair.tree, 'data')), dump(pair.driver.folder));
  t.equal(pair.driver.acknowledged, pair.driver.last);
});

void t.test('links that break lose nothing', async (t) => {
  const pair = await startPair(t);
  await addSet(pair);
  for (let round = 0; round < 12; round++) {
    work(pair.driver, 300, 100 + round);
    // In the middle of whatever is under way.
    if (round % 3 === 2) linkOf(pair).restart();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await settled(pair);
  t.same(dump(path.join(pair.tree, 'data')), dump(pair.driver.folder));
  t.equal(pair.driver.lostCount, 0);
});
