/** Our headers against the facts; and that the referee bites where it should. */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { packageRoot } from '../../userland/common/paths.js';
import { buildDriver, inventedLibrary, script, wdk } from './tools.js';

t.setTimeout(120_000);

const slice = path.join(wdk, 'abi/wdk-abi.json');
const exceptions = path.join(wdk, 'abi/exceptions.json');
const drivers = path.join(packageRoot(), 'build/host/drivers');
const images = existsSync(drivers)
  ? readdirSync(drivers).filter((name) => name.endsWith('.sys')).map((name) => path.join(drivers, name)) // prettier-ignore
  : [];

t.test('no difference', (t) => {
  const { status, output } = script('referee.mjs', '--host', 'tools/nthost', ...images);
  for (const line of output.trim().split('\n')) t.comment(line);
  t.equal(status, 0);
  t.match(output, /^0 differences$/m);
  // That much there is to compare; a referee that found nothing would be silent, too.
  for (const [kind, least] of [
    ['functions', 700],
    ['records', 180],
    ['fields', 1500],
    ['enumerators', 900],
    ['macros', 2500],
  ] as const)
    for (const target of ['pe', 'elf'])
      t.ok(Number(new RegExp(`^${target}: .*?(\\d+) ${kind}`, 'm').exec(output)?.[1]) >= least, `${target}: ${kind}`); // prettier-ignore
  t.end();
});

t.test('exceptions', (t) => {
  const folder = t.testdir();
  const file = path.join(folder, 'exceptions.json');
  const known = JSON.parse(readFileSync(exceptions, 'utf8')) as Record<string, unknown>;

  writeFileSync(file, JSON.stringify({ ...known, ExNever: { page: 'none', why: 'test' } }));
  const unused = script('referee.mjs', '--exceptions', file);
  t.match(unused.output, 'exception ExNever is not needed');
  t.equal(unused.status, 1);

  const { NTDDI_VERSION: dropped, ...rest } = known;
  t.ok(dropped);
  writeFileSync(file, JSON.stringify(rest));
  const missing = script('referee.mjs', '--exceptions', file);
  t.match(missing.output, 'pe: macro NTDDI_VERSION has no fact');
  t.match(missing.output, 'elf: macro NTDDI_VERSION has no fact');
  t.equal(missing.status, 1);

  writeFileSync(file, JSON.stringify({ ...known, NTDDI_VERSION: { why: 'no page' } }));
  const bare = script('referee.mjs', '--exceptions', file);
  t.match(bare.output, 'exception NTDDI_VERSION names neither page nor source');
  t.equal(bare.status, 1);
  t.end();
});

t.test('facts', (t) => {
  const file = path.join(t.testdir(), 'facts.json');
  const facts = readFileSync(slice, 'utf8');
  writeFileSync(file, facts.replace('"functions":{\n', '"functions":{\n"ExNever":["v"],\n'));
  const extra = script('referee.mjs', '--facts', file);
  t.match(extra.output, 'functions: no declaration needs the fact ExNever');
  t.equal(extra.status, 1);

  writeFileSync(
    file,
    facts.replace(/"IoCreateDevice":\[.*?\]/, '"IoCreateDevice":["i4","p","i4"]'),
  );
  const changed = script('referee.mjs', '--facts', file);
  t.match(changed.output, 'pe: function IoCreateDevice is');
  t.match(changed.output, 'elf: function IoCreateDevice is');
  t.equal(changed.status, 1);

  // 64-bit values are exact.
  writeFileSync(file, facts.replace('"STATUS_ACCESS_DENIED":18446744072635809826', '"STATUS_ACCESS_DENIED":18446744072635809827')); // prettier-ignore
  const close = script('referee.mjs', '--facts', file);
  t.match(
    close.output,
    'macro STATUS_ACCESS_DENIED is 0xFFFFFFFFC0000022, fact 0xFFFFFFFFC0000023',
  );
  t.end();
});

t.test('imports of an image', (t) => {
  const folder = t.testdir();
  const library = path.join(folder, 'libraries');
  t.equal(script('implib.mjs', library).status, 0);
  const ntoskrnl = path.join(library, 'ntoskrnl.lib');
  const entry = `#include <ntddk.h>
DRIVER_INITIALIZE DriverEntry;
NTSTATUS DriverEntry(PDRIVER_OBJECT d, PUNICODE_STRING r) { (void)d; (void)r; return (NTSTATUS)CALL(); }
`;
  const source = (name: string): string =>
    `__declspec(dllimport) int ${name}(void);\n#define CALL ${name}\n${entry}`;

  const good = buildDriver(folder, 'good', source('KeGetCurrentNodeNumber').replace(/^.*\n/, ''), { libraries: [ntoskrnl] }); // prettier-ignore
  t.match(script('referee.mjs', good), { status: 0, output: /imports: 1 of 1 images/ });

  const absent = buildDriver(folder, 'absent', source('KeNeverExported'), {
    libraries: [ntoskrnl, inventedLibrary(folder, 'ntoskrnl.exe', ['KeNeverExported'])],
  });
  t.match(script('referee.mjs', absent), { status: 1, output: /ntoskrnl\.exe does not export KeNeverExported/ }); // prettier-ignore

  const undocumented = buildDriver(folder, 'undocumented', source('KeAlertThread'), { libraries: [ntoskrnl] }); // prettier-ignore
  t.match(script('referee.mjs', undocumented), { status: 1, output: /KeAlertThread is undocumented, and no exception names its source/ }); // prettier-ignore

  const foreign = buildDriver(folder, 'foreign', source('Anything'), {
    libraries: [inventedLibrary(folder, 'win32k.sys', ['Anything'])],
  });
  t.match(script('referee.mjs', foreign), { status: 1, output: /imports from win32k\.sys/ });
  t.end();
});

t.test('exports of the host', (t) => {
  const folder = t.testdir();
  const host = (text: string) => {
    mkdirSync(path.join(folder, 'host'), { recursive: true });
    writeFileSync(path.join(folder, 'host/exports.c'), text);
    return script('referee.mjs', '--host', path.join(folder, 'host'));
  };
  t.match(host('NT_EXPORT(NTOSKRNL, KeSetEvent);\n'), { status: 0, output: /host: 1 exports/ });
  t.match(host('NT_EXPORT(NTOSKRNL, KeNever);\n'), {
    status: 1,
    output: /does not export KeNever/,
  });
  t.match(host('NT_EXPORT(NTOSKRNL, KeAlertThread);\n'), {
    status: 1,
    output: /do not declare it/,
  });
  t.end();
});
