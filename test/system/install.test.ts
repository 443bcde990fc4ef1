// The driver as an administrator meets it: installed from its INF, started, asked, stopped, removed. Without it the cluster address is
// dead, since the driver host forwards nothing by itself.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { root } from '../../tools/lab/built.js';
import { DriverHost, driverImages } from '../../tools/lab/host.js';
import { Lab } from '../../tools/lab/lab.js';
import { cluster as address } from '../../tools/lab/addresses.js';

const inf = path.join(root, 'kernel/inf/oneip.inf');
const lab = await Lab.create({ nodes: 1, clients: 4 });
t.teardown(() => lab.close());
const node = lab.node('node1');
await node.boot('hosted');

for (const image of ['elf', 'pe'] as const) {
  t.test(`install, start, status, stop, uninstall: ${image}`, async (t) => {
    const host = await DriverHost.start(node, { image, verifier: true });
    await host.ntswift('driver', 'install', inf, ...driverImages(image));
    t.match(await host.ntswift('driver', 'list'), /NtsOneIp/i);
    t.match(await host.ntswift('driver', 'status', 'NtsOneIp'), /stopped/i);
    await host.ntswift('driver', 'start', 'NtsOneIp');
    t.match(await host.ntswift('driver', 'status', 'NtsOneIp'), /running/i);
    await host.ntswift('driver', 'stop', 'NtsOneIp');
    t.match(await host.ntswift('driver', 'status', 'NtsOneIp'), /stopped/i);
    await host.ntswift('driver', 'uninstall', 'NtsOneIp', '--yes');
    t.notMatch(await host.ntswift('driver', 'list'), /NtsOneIp/i);
    await host.stop();
  });
}

t.test('a wrong INF is refused by line, and nothing is installed', async (t) => {
  const host = await DriverHost.start(node, { image: 'elf', verifier: true });
  const text = readFileSync(inf, 'utf8');
  const line = text.split('\n').findIndex((one) => /^\s*ServiceType\s*=/i.test(one)) + 1;
  t.ok(line > 0);
  const wrong = path.join(t.testdir(), 'oneip.inf');
  writeFileSync(wrong, text.replace(/^(\s*ServiceType\s*=).*$/im, '$1 16'));
  const told = await host
    .ntswift('driver', 'install', wrong, ...driverImages('elf'))
    .then(() => 'it was installed', String);
  t.match(told, new RegExp(`oneip\\.inf:${line}\\b`));
  t.notMatch(await host.ntswift('driver', 'list'), /NtsOneIp/i);
  await host.stop();
});

t.test('without the driver the cluster address is dead', async (t) => {
  const host = await DriverHost.start(node, { image: 'elf', verifier: true });
  node.configure('net0', []);
  await node.serve([]);
  const ask = async (target: string) =>
    (
      await lab.client.ask({
        op: 'fetch',
        sources: lab.client.sources('ipv4'),
        target,
        width: 4,
        timeoutMs: 500,
      })
    ).map(({ server }) => server);
  t.same(
    await ask(node.own.ipv4),
    ['node1', 'node1', 'node1', 'node1'],
    'the machine itself answers',
  );
  t.same(await ask(address.ipv4), [null, null, null, null]);
  await node.stopServing();
  await host.stop();
});
