// What is replicated, and whether, is the administrators' business: an ordinary user of the primary's machine can neither read the stream
// nor change anything at the driver, while he works in the folder as always.
import { chmodSync, existsSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { root } from '../../tools/lab/built.js';
import { Replica } from '../../tools/lab/replica.js';

const NOBODY = '65534';
const GENERIC_READ = 0x8000_0000;
const GENERIC_WRITE = 0x4000_0000;
const MAXIMUM_ALLOWED = 0x0200_0000;

const skip = existsSync('/dev/fuse')
  ? // In a user namespace of its own an ordinary user is called root.
    process.env.NTS_UNPRIVILEGED
    ? { skip: 'only root can become another user' }
    : {}
  : { skip: 'there is no /dev/fuse' };

t.setTimeout(0);

t.test('an ordinary user can neither read the ring nor configure', skip, async (t) => {
  const replica = await Replica.start(t.testdir());
  t.teardown(() => replica.close());
  const { machine } = replica;
  // He may reach the host, as he may reach a device's name on Windows.
  chmodSync(path.dirname(machine.endpoint), 0o755);
  chmodSync(machine.endpoint, 0o666);
  chmodSync(path.join(machine.paths.backing, 'shop'), 0o777);
  const as = (...args: string[]): string =>
    machine.run('setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...args);
  const stranger = path.join(root, 'dist/test/system/stranger.js');
  const rights = [0, GENERIC_READ, GENERIC_WRITE, MAXIMUM_ALLOWED].map(String);
  const before = replica.status('alpha').driver;

  t.same(JSON.parse(as(process.execPath, stranger, machine.endpoint, '64', ...rights)), {
    uid: Number(NOBODY),
    opened: ['STATUS_ACCESS_DENIED'],
    asked: ['STATUS_INVALID_HANDLE'],
  });
  t.same(replica.status('alpha').driver, before, 'and nothing has changed');

  as('sh', '-c', `echo mine > '${replica.primary}/file'`);
  t.equal(machine.run('cat', path.join(replica.primary, 'file')), 'mine\n');
  // The same program, run by root, gets in: the answer above was about the user.
  const told = JSON.parse(
    machine.run(process.execPath, stranger, machine.endpoint, '0', ...rights),
  ) as {
    opened: string[];
  };
  t.ok(told.opened.includes('STATUS_SUCCESS'), told.opened.join());
});
