/** Bringing a configuration into force, and back into force after a restart. */
import { formatMac } from '../common/address.js';
import { isNtsError, ntsError } from '../common/errors.js';
import type { Store } from '../common/store.js';
import { OneIp, type OneIpOptions } from './client.js';
import { type ClusterFile, type ClusterMember, toConfiguration } from './cluster-file.js';
import type { Configuration } from './configuration.js';
import type { Names } from './names.js';
import { explainRefusal, refusalOf } from './refusal.js';
import {
  forgetConfiguration,
  loadConfiguration,
  loadVeto,
  saveConfiguration,
  saveVeto,
} from './state.js';

/** Which member this machine is: the one that was named, or the one with a MAC address of ours. */
export function chooseLocalMember(
  cluster: ClusterFile,
  named: string | null,
  localMacs: readonly string[],
): ClusterMember {
  const { members, file } = cluster;
  const known = members.map(({ name }) => name).join(', ');
  if (named !== null) {
    const found =
      members.find(({ name }) => name === named) ?? members.find(({ id }) => String(id) === named);
    if (found) return found;
    const what = `${file}: no member is called "${named}"; the members are ${known}`;
    throw ntsError('NTS_ERR_LOCAL_NODE', { what });
  }
  const macs = new Set(localMacs.map((mac) => mac.toLowerCase().replaceAll('-', ':')));
  const found = members.filter(({ mac }) => macs.has(formatMac(mac)));
  if (found.length === 1) return found[0]!;
  const here = [...macs].join(', ') || 'none';
  const what =
    found.length === 0
      ? `${file}: no member has a MAC address of this machine (${here}); mend the file, or say which node this is by --node (${known})`
      : `${file}: this machine has the MAC addresses of several members (${found.map(({ name }) => name).join(', ')}); say which node it is by --node`;
  throw ntsError('NTS_ERR_LOCAL_NODE', { what });
}

export async function applyCluster(
  cluster: ClusterFile,
  local: ClusterMember,
  store: Store,
  options: OneIpOptions,
): Promise<Configuration> {
  const wanted = toConfiguration(cluster, local.id);
  const names: Names = new Map(cluster.members.map(({ id, name }) => [id, name]));
  return store.exclusively(async () => {
    const oneIp = await OneIp.open(options);
    try {
      await set(oneIp, wanted, cluster);
      const present = await oneIp.configuration();
      // The driver does not give the key away; the table is the one that it made.
      const configuration = { ...(present ?? wanted), beaconKey: wanted.beaconKey };
      saveConfiguration(store, {
        configuration,
        names,
        source: cluster.file,
        appliedAt: new Date().toISOString(),
      });
      return configuration;
    } finally {
      await oneIp.close();
    }
  });
}

/** As setConfiguration; a refusal names the line of the file. */
async function set(oneIp: OneIp, wanted: Configuration, cluster: ClusterFile): Promise<void> {
  try {
    await oneIp.setConfiguration(wanted);
  } catch (error) {
    const refusal = refusalOf(error);
    if (!refusal || !isNtsError(error)) throw error;
    const presentGeneration = (await oneIp.configuration())?.generation ?? null;
    throw ntsError(
      'NTS_ERR_REFUSED',
      {
        what: `${explainRefusal(refusal, { cluster, presentGeneration })} (refused by the driver)`,
      },
      { cause: error, ntstatus: error.ntstatus, facts: { file: cluster.file, ...error.facts } },
    );
  }
}

/** No configuration any more, neither in force nor stored. */
export async function clearCluster(store: Store, options: OneIpOptions): Promise<void> {
  await store.exclusively(async () => {
    const oneIp = await OneIp.open(options);
    try {
      await oneIp.clearConfiguration();
      forgetConfiguration(store);
    } finally {
      await oneIp.close();
    }
  });
}

export async function vetoRole(store: Store, veto: boolean, options: OneIpOptions): Promise<void> {
  await store.exclusively(async () => {
    const oneIp = await OneIp.open(options);
    try {
      await oneIp.veto(veto);
      saveVeto(store, veto);
    } finally {
      await oneIp.close();
    }
  });
}

/**
 * After the driver was started: what was in force before is so again. Returns the generation, or null
 * where nothing was stored or the driver has a configuration already.
 */
export async function reapply(store: Store, options: OneIpOptions): Promise<bigint | null> {
  return store.exclusively(async () => {
    const applied = loadConfiguration(store);
    const veto = loadVeto(store);
    if (!applied && !veto) return null;
    const oneIp = await OneIp.open(options);
    try {
      if (veto) await oneIp.veto(true);
      if (!applied || (await oneIp.configuration())) return null;
      await oneIp.setConfiguration(applied.configuration);
      return applied.configuration.generation;
    } finally {
      await oneIp.close();
    }
  });
}
