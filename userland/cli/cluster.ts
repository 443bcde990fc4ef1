/** ntswift cluster ... */
import { ntsError } from '../common/errors.js';
import { readSecret } from '../common/secret-file.js';
import { Authority } from '../node/authority.js';
import { dropCaKey, readCaKey, writeCaKey } from '../node/ca-transfer.js';
import { DAY, parseDuration } from '../node/clock.js';
import { initCluster } from '../node/init.js';
import { nodeName, ownAddress, stateFolder, tellOthers, withNode } from './cluster-access.js';
import type { Context } from './context.js';
import { ownView, ownText } from './node-view.js';

const SHORTEST_TTL = 10_000;
const LONGEST_TTL = 7 * DAY;

export async function init(
  values: { name: string; node: string | null; address: string | null; state: string | null },
  context: Context,
): Promise<void> {
  const cluster = nodeName(values.name);
  const node = nodeName(values.node);
  const address = ownAddress(values.address);
  await initCluster(stateFolder(values.state), { cluster, node, address });
  await withNode(values.state, async (local) => {
    const view = await ownView(local);
    context.result(view, () => ownText(view, context.style));
  });
  context.note('Run "ntswift service", then "ntswift cluster token" for each node that is to join');
}

export async function token(
  values: { ttl: string; state: string | null },
  context: Context,
): Promise<void> {
  const ttl = parseDuration(values.ttl);
  if (ttl === null || ttl < SHORTEST_TTL || ttl > LONGEST_TTL) {
    const what = '--ttl takes a time from 10s to 7d: a number with s, m, h or d';
    throw ntsError('NTS_ERR_USAGE', { what });
  }
  await withNode(values.state, async (local) => {
    const authority = await Authority.of(local, 'a join token');
    const { token: text, expires } = authority.createToken(ttl);
    const until = new Date(expires).toISOString();
    const view = { token: text, expires: until, address: local.address };
    context.result(view, () => text);
    if (!context.json) {
      context.note(
        `Good for one node until ${until}: ntswift node join ${local.address} --token -`,
      );
    }
  });
}

export async function exportCa(
  values: { file: string; move: boolean; 'passphrase-file': string | null; state: string | null },
  context: Context,
): Promise<void> {
  const { file, move } = values;
  const passphrase = await readPassphrase(values['passphrase-file']);
  await withNode(values.state, async (local) => {
    const authority = await Authority.of(local, "exporting the CA's key");
    const { name } = local.cluster;
    const plain = passphrase === null ? ', not encrypted' : '';
    const gone = move ? `, and take it from ${local.name}` : '';
    await context.confirm(
      `Write the key of cluster ${name} to ${file}${plain}${gone}; whoever has it can admit nodes`,
    );
    await writeCaKey(local, file, passphrase);
    if (move) await dropCaKey(local, authority);
    const told = move ? await tellOthers(local, context) : {};
    context.result(
      { file, cluster: name, encrypted: passphrase !== null, moved: move, ...told },
      () =>
        move
          ? `${file} holds the key, and ${local.name} does not`
          : `${file} holds a copy of the key`,
    );
  });
}

export async function importCa(
  values: { file: string; 'passphrase-file': string | null; state: string | null },
  context: Context,
): Promise<void> {
  const passphrase = await readPassphrase(values['passphrase-file']);
  await withNode(values.state, async (local) => {
    const ca = await readCaKey(local, values.file, passphrase);
    const { name } = local.cluster;
    await context.confirm(
      `Keep the key of cluster ${name} on ${local.name}, which can admit nodes then`,
    );
    await local.folder.saveCa(ca);
    const authority = await Authority.of(local, "importing the CA's key");
    authority.setAuthority(local.id, true);
    const told = await tellOthers(local, context);
    context.result({ node: local.name, cluster: name, ...told }, () => {
      return `${local.name} holds the key of cluster ${name}. Delete ${values.file}`;
    });
  });
}

async function readPassphrase(file: string | null): Promise<string | null> {
  if (file === null) return null;
  const secret = await readSecret(file);
  secret.requirePrivate();
  const line = secret.text.split(/\r?\n/, 1)[0]!;
  if (line === '') throw ntsError('NTS_ERR_FILE_READ', { file, why: 'its first line is empty' });
  return line;
}
