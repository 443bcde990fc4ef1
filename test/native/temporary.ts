/** A folder of a test's own with a short path: the path of a socket has 107 bytes at most. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';

export function temporaryFolder(t: Test): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'nts-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
