// The last part of the demo: a shop's database and a folder of documents are replicated, the machine dies in the middle of a
// transaction, the backup is opened and checked, and rewound to a bookmark.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { root } from '../lab/built.js';
import { ended, LabError, until } from '../lab/process.js';
import { Replica } from '../lab/replica.js';
import { ACCOUNTS, OPENING_BALANCE } from '../lab/shop/ledger.js';
import { auditSqlite } from '../lab/shop/sqlite.js';

/** Transactions before the bookmark, and after it. */
const half = 150;
const bookmark = 'evening';

type Say = (text: string) => void;

/** In a process of its own, since what the machines' programs say when these die belongs in a log. */
export async function showReplication(say: Say): Promise<void> {
  if (!existsSync('/dev/fuse')) {
    say('There is no /dev/fuse, so no folder can be on a filtered volume: not shown.');
    return;
  }
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nts-demo-'));
  const log = path.join(folder, 'log');
  const child = spawn(process.execPath, [import.meta.filename, path.join(folder, 'machines')], {
    stdio: ['ignore', 'inherit', openSync(log, 'a')],
  });
  await ended(child);
  if (child.exitCode !== 0) {
    const told = readFileSync(log, 'utf8').slice(-2000);
    throw new LabError(`replication was not shown; what there is lies in ${folder}\n${told}`);
  }
  rmSync(folder, { recursive: true });
}

async function show(replica: Replica, say: Say): Promise<void> {
  const documents = path.join(replica.primary, 'documents');
  // Programs see the mount; it is not in our namespace.
  const below = path.join(replica.machine.paths.backing, 'shop/documents');
  say(`ntswift repl add shop ${replica.primary} --to beta:${replica.backup}, on alpha.`);
  say('The folder is on a volume that kernel/repl filters, in the driver host; beta keeps a copy.');
  replica.machine.sh(replica.primary, `mkdir documents; cp '${root}'/docs/*.md documents`);

  let committed = 0;
  const books = path.join(root, 'dist/tools/lab/shop/sqlite.js');
  const shop = await replica.program(
    (line) => (committed = Number(line) || committed),
    books,
    replica.primary,
    'wal',
  );
  const after = (count: number): Promise<true> =>
    until(`${count} transactions`, () => (committed >= count ? true : undefined), 60_000);
  await after(half);
  const before = readdirSync(below).length;
  replica.ntswift('alpha', 'repl', 'bookmark', bookmark);
  say(`\nA shop takes orders there, in SQLite; ${before} documents lie beside it.`);
  say(`ntswift repl bookmark ${bookmark}, on alpha, while it goes on.`);
  replica.machine.sh(
    documents,
    'for file in *.md; do mv "$file" "draft of $file"; done; rm "draft of repl.md"; echo no > minutes',
  );
  await after(committed + half);
  say(`All documents are renamed, one is deleted, one is new; the shop goes on.`);

  const heard = new Promise((resolve) => shop.child.once('close', resolve));
  await replica.killPrimary(shop);
  await heard;
  say(
    `\nSIGKILL of alpha: driver host, service and shop, all at one moment, while the shop writes.`,
  );
  say(`Its clients were told of ${committed} transactions.`);
  await replica.settled();
  const copy = replica.copy('opened');
  say(`\nThe copy on beta, opened as after a power failure:`);
  say(`  ${checked(copy)}`);
  const kept = readdirSync(path.join(copy, 'documents'));
  say(`  ${kept.length} documents, among them "${kept.find((name) => name !== 'minutes')}"`);

  replica.ntswift('beta', 'repl', 'restore', bookmark, '-y');
  const earlier = replica.copy('rewound');
  say(`\nntswift repl restore ${bookmark}, on beta: everything is as it was then.`);
  say(`  ${checked(earlier)}`);
  const then = readdirSync(path.join(earlier, 'documents'));
  if (then.length !== before || !then.includes('repl.md'))
    throw new LabError(`the documents are not those of the bookmark: ${then.join(', ')}`);
  say(`  ${then.length} documents by their old names, the deleted one among them`);

  replica.ntswift('beta', 'repl', 'restore', '--resume', '-y');
  await replica.settled();
  say(`ntswift repl restore --resume: the last moment again.`);
  say(`  ${checked(replica.copy('resumed'))}`);
}

/** What an audit says of the books in the folder. */
function checked(folder: string): string {
  const { transactions, problems } = auditSqlite(folder);
  if (problems.length > 0) throw new LabError(problems.join('; '));
  return (
    `${transactions} transactions without a gap; ${ACCOUNTS} accounts sum to ${ACCOUNTS * OPENING_BALANCE} ` +
    'and agree with the history; each order has its lines; integrity_check: ok'
  );
}

/** FOLDER: where the machines have what outlives them. */
async function main([folder = '']: string[]): Promise<void> {
  const replica = await Replica.start(folder);
  try {
    await show(replica, (text) => console.log(text));
  } finally {
    await replica.close();
  }
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
