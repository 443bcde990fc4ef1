/** ntswift driver, on the real driver host, with a driver that has nothing to do with ntswift. */
import { chmodSync, copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { openDevice } from '../../native/addon/ts/index.js';
import { packageRoot } from '../../userland/common/paths.js';
import { Nthost, drivers, missing, otherUsers } from '../native/nthost.js';

const skip = missing('kmdfecho');
const inf = path.join(packageRoot(), 'test/drivers/kmdfecho/kmdfecho.inf');
const ECHO = (0x22 << 16) | (0x800 << 2);

for (const image of ['elf', 'pe'] as const) {
  t.test(`the life of a driver: ${image}`, { skip }, async (t) => {
    const host = await Nthost.start(t);
    const echo = async (): Promise<string> => {
      const device = await openDevice('\\\\.\\KmdfEcho', { endpoint: host.endpoint });
      const answer = await device.ioctl(ECHO, Buffer.from('hello'), 5);
      await device.close();
      return answer.toString();
    };

    t.match(await host.ntswift('driver', 'list'), {
      status: 0,
      stdout: 'No driver is installed.\n',
    });
    const parameters = ['--images', drivers, '--image', image];
    const installed = await host.json('driver', 'install', inf, ...parameters);
    t.match(installed, { service: 'KmdfEcho', state: 'stopped', version: '1.0.0.0' });
    t.match(await host.ntswift('driver', 'list'), { stdout: /KmdfEcho +stopped/ });
    await t.rejects(echo(), { code: 'NTS_ERR_NO_DEVICE' });

    t.match(await host.json('driver', 'start', 'KmdfEcho'), { state: 'running' });
    t.equal(await echo(), 'hello');
    t.match(await host.ntswift('driver', 'start', 'KmdfEcho'), {
      status: 0,
      stderr: 'KmdfEcho runs already\n',
    });
    t.match(await host.ntswift('driver', 'status', 'KmdfEcho'), { stdout: /state +running/ });

    t.match(await host.json('driver', 'stop', 'KmdfEcho'), { state: 'stopped' });
    await t.rejects(echo(), { code: 'NTS_ERR_NO_DEVICE' });

    t.match(await host.ntswift('driver', 'uninstall', 'KmdfEcho'), { status: 7, stdout: '' });
    t.match(await host.ntswift('driver', 'status', 'KmdfEcho'), { status: 0 }, 'it is still there');
    t.match(await host.ntswift('driver', 'uninstall', 'KmdfEcho', '--yes'), { status: 0 });
    t.match(await host.ntswift('driver', 'status', 'KmdfEcho'), { status: 3 });
    t.equal(await host.stop('SIGTERM'), 0, host.log);
  });
}

t.test('services that do not exist', { skip }, async (t) => {
  const host = await Nthost.start(t);
  for (const action of ['start', 'stop', 'uninstall', 'status']) {
    const { status, stdout, stderr } = await host.ntswift('driver', action, 'Nobody', '--yes');
    t.equal(status, 3, `${action}: ${stderr}`);
    t.equal(stdout, '');
    t.match(stderr, /^ntswift: .*Nobody/);
  }
});

t.test('an INF that is wrong is refused by its line', { skip }, async (t) => {
  const host = await Nthost.start(t);
  const file = path.join(host.folder, 'kmdfecho.inf');
  const text = readFileSync(inf, 'utf8');
  const line = text.split('\n').findIndex((l) => l.startsWith('ServiceType')) + 1;
  writeFileSync(file, text.replace(/^ServiceType.*$/m, 'ServiceType = 77'));
  for (const action of ['install', 'check']) {
    const { status, stdout, stderr } = await host.ntswift('driver', action, file);
    t.equal(status, 6, action);
    t.equal(stdout, '');
    t.match(stderr, new RegExp(`${file}:${line}: .*\\(\\w+\\)`), action);
  }
  const json = JSON.parse(
    (await host.ntswift('driver', 'install', file, '--json')).stderr,
  ) as object;
  t.match(json, { error: { code: 'NTS_ERR_INF', file, line, rule: /^\w+$/ } });
  t.match(await host.json('driver', 'list'), [], 'nothing was installed');
  t.match(await host.ntswift('driver', 'check', inf), { status: 0 });
  t.match(await host.ntswift('driver', 'install', path.join(host.folder, 'none.inf')), {
    status: 6,
    stderr: /none\.inf: cannot be read \(it does not exist\)/,
  });
});

t.test('every bad INF of the rules says where and why', { skip }, async (t) => {
  const folder = path.join(packageRoot(), 'test/nthost/setup/bad');
  const host = await Nthost.start(t);
  const names = readdirSync(folder).filter((name) => name.endsWith('.inf'));
  t.ok(names.length > 20);
  // A sample: each costs a process.
  for (const name of names.filter((_, i) => i % 8 === 0)) {
    const { status, stderr } = await host.ntswift('driver', 'check', path.join(folder, name));
    t.equal(status, 6, name);
    t.match(stderr, new RegExp(`${name}(:\\d+)?: .+ \\(\\w+\\)`));
  }
});

t.test('an image that is missing', { skip }, async (t) => {
  const host = await Nthost.start(t);
  const file = path.join(host.folder, 'kmdfecho.inf');
  copyFileSync(inf, file);
  const { status, stderr } = await host.ntswift('driver', 'install', file, '--images', host.folder);
  t.ok(status === 3 || status === 6, stderr);
  t.match(stderr, /kmdfecho/);
  t.same(await host.json('driver', 'list'), []);
});

t.test('what is installed survives a restart of the host', { skip }, async (t) => {
  const host = await Nthost.start(t);
  await host.json('driver', 'install', inf, '--images', drivers);
  await host.json('driver', 'start', 'KmdfEcho');
  await host.restart();
  t.match(await host.json('driver', 'list'), [{ service: 'KmdfEcho', state: 'stopped' }]);
  t.match(await host.json('driver', 'start', 'KmdfEcho'), { state: 'running' });
});

t.test('an ordinary user', { skip, ...otherUsers }, async (t) => {
  const host = await Nthost.start(t);
  chmodSync(host.folder, 0o755);
  for (const words of [
    ['driver', 'list'],
    ['driver', 'install', inf, '--images', drivers],
    ['node'],
  ]) {
    const child = host.startAs(65534, ...words);
    t.match(await host.command(child), { status: 5, stdout: '', stderr: /access is denied.*root/ });
  }
  t.same(await host.json('driver', 'list'), []);
});

t.test('node', { skip }, async (t) => {
  const host = await Nthost.start(t);
  await host.json('driver', 'install', inf, '--images', drivers);
  const page = await host.json('node');
  t.match(page, { host: {}, adapters: [], drivers: [{ service: 'KmdfEcho' }], oneip: null });
  t.match(await host.ntswift('node'), {
    status: 0,
    stdout: /KmdfEcho +stopped.*ONE-IP does not run here/s,
  });
});
