// What a suite came to. A suite is one run of one test program.

export interface Failure {
  name: string;
  detail: string;
}

export interface Skip {
  name: string;
  reason: string;
}

export interface Outcome {
  suite: string;
  passed: number;
  failures: Failure[];
  skips: Skip[];
  seconds: number;
}

export interface Totals {
  passed: number;
  failed: number;
  skipped: number;
}

export function totals(outcomes: Outcome[]): Totals {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failures, skips } of outcomes) {
    sum.passed += passed;
    sum.failed += failures.length;
    sum.skipped += skips.length;
  }
  return sum;
}

export function closingLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}
