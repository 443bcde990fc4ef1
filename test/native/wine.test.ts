/** The win32-x64 addon and the command line in node.exe, under Wine. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { Parser, type Result } from 'tap-parser';
import { knownStatuses } from '../../userland/common/ntstatus.js';
import { packageRoot } from '../../userland/common/paths.js';
import { Wine } from './wine.js';

const MINGW = 'x86_64-w64-mingw32-g++-posix';

t.setTimeout(600_000);

const prepared = Wine.prepare();
const wine = prepared instanceof Wine ? prepared : null;
const skip = prepared instanceof Wine ? false : prepared.missing;
t.teardown(() => wine?.close());

t.test('devices of Windows', { skip }, (t) => {
  const { status, stdout, stderr } = wine!.runNode('test/native/windows-device.js');
  // Each point of the suite that ran there is a point here.
  const results: Result[] = [];
  const parser = new Parser((final) => {
    t.ok(final.ok, `the suite as a whole${final.ok ? '' : `\n${stdout}`}`);
  });
  parser.on('child', (child: Parser) => {
    child.on('assert', (point: Result) => results.push(point));
  });
  parser.on('assert', (point: Result) => results.push(point));
  parser.end(stdout);
  for (const { ok, name, diag } of results) t.ok(ok, name, { diag: diag as unknown });
  t.ok(results.length >= 20, `${results.length} points`);
  t.equal(status, 0, stderr);
  t.end();
});

t.test('an executable of another name', { skip }, (t) => {
  const copy = path.join(t.testdir({}), 'other.exe');
  copyFileSync(wine!.nodeExe, copy);
  const addon = wine!.windowsPath(
    path.join(packageRoot(), 'native/addon/build/win32-x64/ntswift.node'),
  );
  const script = `console.log(require(${JSON.stringify(addon)}).kind)`;
  t.match(wine!.run(copy, ['-e', script]), { status: 0, stdout: 'windows\n' });
  t.end();
});

t.test('the command line', { skip }, (t) => {
  const main = 'userland/cli/main.js';
  t.match(wine!.runNode(main, '--help'), { status: 0, stdout: /ntswift oneip/ });
  t.match(wine!.runNode(main, 'oneip', 'show'), {
    status: 4,
    stdout: '',
    stderr: /\\\\\.\\NtsOneIp does not exist: its driver is not installed or not started/,
  });
  t.match(wine!.runNode(main, 'oneip', 'members', '--json'), {
    status: 4,
    stderr: /"code":"NTS_ERR_NO_DEVICE".*"name":"STATUS_OBJECT_NAME_NOT_FOUND","win32":2/,
  });
  const node = wine!.runNode(main, 'node', '--json');
  t.equal(node.status, 0, node.stderr);
  t.match(JSON.parse(node.stdout), { host: { system: 'Windows' }, drivers: [], oneip: null });

  const file = path.join(t.testdir({}), 'cluster.yaml');
  writeFileSync(file, 'clusterId: 6ba7b810-9dad-11d1-80b4-00c04fd430c8\ngeneration: no\n');
  t.match(wine!.runNode(main, 'oneip', 'apply', wine!.windowsPath(file), '--check'), {
    status: 6,
    stderr: /cluster\.yaml:2:13: generation: "no" is not a whole number/,
  });
  t.end();
});

t.test('our Win32 errors are those of RtlNtStatusToDosError', { skip }, (t) => {
  const statuses = knownStatuses();
  const source = [
    '#include <windows.h>',
    '#include <stdio.h>',
    'typedef ULONG(NTAPI *convert)(LONG);',
    'int main() {',
    '  convert to = (convert)(void *)GetProcAddress(GetModuleHandleA("ntdll.dll"), "RtlNtStatusToDosError");',
    ...statuses.map(({ value }) => `  printf("%lu\\n", to((LONG)${value}u));`),
    '}',
  ].join('\n');
  const folder = t.testdir({ 'errors.cpp': source });
  const exe = path.join(folder, 'errors.exe');
  const { status, stderr } = spawnSync(
    MINGW,
    ['-static', '-o', exe, path.join(folder, 'errors.cpp')],
    {
      encoding: 'utf8',
    },
  );
  t.equal(status, 0, stderr);
  const lines = wine!.run(exe, []).stdout.trim().split(/\r?\n/);
  t.same(
    statuses.map(({ name }, i) => `${name} ${lines[i]}`),
    statuses.map(({ name, win32 }) => `${name} ${win32}`),
  );
  t.end();
});
