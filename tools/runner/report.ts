// What the test command prints. One line a suite, details of what failed, every skip with its reason, and the closing line.
import { closingLine, totals, type Outcome } from './outcome.js';

export function heading(text: string): void {
  console.log(`\n==> ${text}`);
}

export function suiteLine(outcome: Outcome): void {
  const { suite, passed, failures, skips, seconds } = outcome;
  const mark = failures.length > 0 ? 'FAIL' : 'ok  ';
  const counts = [`${passed} passed`];
  if (failures.length > 0) counts.push(`${failures.length} failed`);
  if (skips.length > 0) counts.push(`${skips.length} skipped`);
  console.log(`    ${mark} ${suite.padEnd(44)} ${counts.join(', ')}  (${seconds.toFixed(1)} s)`);
  for (const { name, detail } of failures) {
    console.log(`         not ok: ${name}`);
    if (detail !== '') console.log(detail.replace(/^/gm, '           | '));
  }
}

export function final(outcomes: Outcome[]): number {
  const skips = outcomes.flatMap(({ suite, skips }) => skips.map((skip) => ({ suite, ...skip })));
  if (skips.length > 0) {
    heading('Skipped');
    for (const { suite, name, reason } of skips) console.log(`    ${suite}: ${name}: ${reason}`);
  }
  const failed = outcomes.filter(({ failures }) => failures.length > 0);
  if (failed.length > 0) {
    heading('Failed');
    for (const { suite, failures } of failed) {
      for (const { name } of failures) console.log(`    ${suite}: ${name}`);
    }
  }
  const sum = totals(outcomes);
  console.log(`\n${closingLine(sum)}`);
  return sum.failed === 0 && sum.passed > 0 ? 0 : 1;
}
