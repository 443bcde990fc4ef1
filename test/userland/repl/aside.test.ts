/** What an old primary had, set aside and compared with what the new one has. */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import pino from 'pino';
import { Aside, setAside } from '../../../userland/repl/aside.js';

const silent = pino({ level: 'silent' });

function folders(t: Test): { tree: string; state: string } {
  const base = t.testdir();
  const paths = { tree: path.join(base, 'tree'), state: path.join(base, 'state') };
  mkdirSync(path.join(paths.tree, 'shop', 'sub'), { recursive: true });
  mkdirSync(paths.state);
  const shop = path.join(paths.tree, 'shop');
  writeFileSync(path.join(shop, 'same'), 'same');
  writeFileSync(path.join(shop, 'sub', 'same'), 'same');
  writeFileSync(path.join(shop, 'changed'), Buffer.alloc(20_000, 1));
  writeFileSync(path.join(shop, 'shorter'), Buffer.alloc(5000, 1));
  writeFileSync(path.join(shop, 'alone'), 'alone');
  symlinkSync('old', path.join(shop, 'link'));
  return paths;
}

function fill(tree: string): void {
  const shop = path.join(tree, 'shop');
  mkdirSync(path.join(shop, 'sub'), { recursive: true });
  writeFileSync(path.join(shop, 'same'), 'same');
  writeFileSync(path.join(shop, 'sub', 'same'), 'same');
  const changed = Buffer.alloc(20_000, 1);
  changed[5000] = 2;
  changed[9000] = 2;
  changed[19_999] = 2;
  writeFileSync(path.join(shop, 'changed'), changed);
  writeFileSync(path.join(shop, 'shorter'), Buffer.alloc(4000, 1));
  symlinkSync('new', path.join(shop, 'link'));
}

t.test('what differs stays, and is listed with its blocks', async (t) => {
  const { tree, state } = folders(t);
  setAside({ tree, state }, 2, ['shop', 'other'], false);
  t.notOk(existsSync(path.join(tree, 'shop')));
  fill(tree);
  const aside = new Aside(state, tree, silent);
  t.same(
    aside.view.map(({ files }) => files),
    [null],
  );
  aside.compare();
  await aside.settled();
  const [view] = aside.view;
  t.equal(view?.files, 4);
  const entries = JSON.parse(readFileSync(view?.list ?? '', 'utf8')) as { path: string }[];
  t.same(
    entries.sort((a, b) => (a.path < b.path ? -1 : 1)),
    [
      { path: 'shop/alone', bytes: 5, blocks: null },
      {
        path: 'shop/changed',
        bytes: 20_000,
        blocks: [
          { offset: 4096, length: 8192 },
          { offset: 16_384, length: 4096 },
        ],
      },
      { path: 'shop/link', bytes: 3, blocks: null },
      { path: 'shop/shorter', bytes: 5000, blocks: [{ offset: 0, length: 8192 }] },
    ],
  );
  t.same(readdirSync(path.join(view?.folder ?? '', 'shop')).sort(), [
    'alone',
    'changed',
    'link',
    'shorter',
  ]);
  await aside.stop();
});

t.test('after a switchover in order nothing stays', async (t) => {
  const { tree, state } = folders(t);
  setAside({ tree, state }, 2, ['shop'], true);
  fill(tree);
  const aside = new Aside(state, tree, silent);
  aside.compare();
  await aside.settled();
  t.same(aside.view, []);
  await aside.stop();
});
