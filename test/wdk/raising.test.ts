/** Drivers call nothing that raises outside one file each. */
import path from 'node:path';
import t from 'tap';
import { script } from './tools.js';

const ours = script('raising.mjs');
t.comment(ours.output.trim());
t.equal(ours.status, 0, 'our drivers');

const folder = t.testdir({
  clean: {
    'a.c':
      '/* ProbeForRead */ const char *a = "METHOD_NEITHER"; // ExRaiseStatus\nint MyProbeForRead;\n',
    'user.c': 'void f(void) { ProbeForRead(0, 0, 1); }\n',
  },
  probing: { 'a.c': 'int x;\nvoid f(void) { ProbeForRead(0, 0, 1); }\n' },
  nested: { part: { 'user.c': 'void f(void) { MmProbeAndLockPages(0, 0, 0); }\n' } },
  include: { 'user.c': '#define IOCTL CTL_CODE(1, 2, METHOD_NEITHER, 0)\n' },
});
const check = (name: string) => script('raising.mjs', path.join(folder, name));
t.match(check('clean'), { status: 0, output: /2 files of 1 folders, 0 violations/ });
t.match(check('probing'), { status: 1, output: /a\.c:2: ProbeForRead/ });
t.match(
  check('nested'),
  { status: 1, output: /user\.c:1: MmProbeAndLockPages/ },
  'one user.c, at the top',
);
t.match(check('include'), { status: 1, output: /METHOD_NEITHER/ }, 'contracts have no user.c');
