// The test command must not call a broken suite a passing one.
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { closingLine, totals, type Outcome } from '../../tools/runner/outcome.js';
import { runTap } from '../../tools/runner/tap.js';

async function run(script: string, timeoutSeconds = 20): Promise<Outcome> {
  return runTap({
    suite: 'sample',
    command: 'sh',
    args: ['-c', script],
    log: path.join(tmpdir(), `ntswift-runner-${process.pid}.log`),
    timeoutSeconds,
  });
}

function summary({ passed, failures, skips }: Outcome) {
  return { passed, failed: failures.map(({ name }) => name), skipped: skips };
}

t.test('passing points count', async (t) => {
  const outcome = await run('printf "1..2\\nok 1 - a\\nok 2 - b\\n"');
  t.same(summary(outcome), { passed: 2, failed: [], skipped: [] });
});

t.test('a failing point fails, whatever the exit code says', async (t) => {
  const outcome = await run('printf "1..2\\nok 1 - a\\nnot ok 2 - b\\n"');
  t.same(summary(outcome), { passed: 1, failed: ['b'], skipped: [] });
});

t.test('the exit code counts although all points passed', async (t) => {
  const outcome = await run('printf "1..1\\nok 1 - a\\n"; echo broken >&2; exit 3');
  t.equal(outcome.failures.length, 1);
  t.match(outcome.failures[0], { name: /ended with 3/, detail: /broken/ });
});

t.test('a skip needs a reason', async (t) => {
  const outcome = await run(
    'printf "1..3\\nok 1 - a\\nok 2 - b # SKIP no tun\\nok 3 - c # SKIP\\n"',
  );
  t.same(summary(outcome), {
    passed: 1,
    failed: ['c'],
    skipped: [{ name: 'b', reason: 'no tun' }],
  });
});

t.test('a todo is a failure', async (t) => {
  const outcome = await run('printf "1..1\\nnot ok 1 - a # TODO later\\n"');
  t.same(summary(outcome).failed, ['a']);
});

t.test('a plan that is not met is a failure', async (t) => {
  const outcome = await run('printf "1..3\\nok 1 - a\\n"');
  t.equal(outcome.passed, 1);
  t.ok(outcome.failures.length > 0);
});

t.test('no test at all is a failure', async (t) => {
  for (const script of ['true', 'printf "1..0\\n"', 'echo hello']) {
    const outcome = await run(script);
    t.ok(outcome.failures.length > 0, script);
  }
});

t.test('a bail-out is a failure', async (t) => {
  const outcome = await run('printf "1..2\\nok 1 - a\\nBail out! no memory\\n"');
  t.match(outcome.failures, [{ name: 'bail out', detail: 'no memory' }]);
});

t.test('a crash is a failure', async (t) => {
  const outcome = await run('printf "1..1\\nok 1 - a\\n"; kill -SEGV $$');
  t.match(outcome.failures[0]?.name, /SIGSEGV/);
});

t.test('a program that hangs is ended with its children', async (t) => {
  const outcome = await run('printf "1..1\\nok 1 - a\\n"; sleep 600 & sleep 600', 1);
  t.match(outcome.failures[0]?.name, /not finished after 1 s/);
  t.ok(outcome.seconds < 10);
});

t.test('points of subtests do not count, their skips show', async (t) => {
  const outcome = await run(
    'printf "1..1\\n# Subtest: a\\n    1..2\\n    ok 1 - x\\n    ok 2 - y # SKIP slow\\nok 1 - a\\n"',
  );
  t.same(summary(outcome), { passed: 1, failed: [], skipped: [{ name: 'a > y', reason: 'slow' }] });
});

t.test('the closing line', async (t) => {
  const outcome = await run('printf "1..2\\nok 1 - a\\nok 2 - b # SKIP no tun\\n"');
  t.equal(closingLine(totals([outcome, outcome])), '2 passed, 0 failed, 2 skipped');
  t.equal(closingLine({ passed: 3, failed: 1, skipped: 0 }), '3 passed, 1 failed');
});
