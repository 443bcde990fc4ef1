/** Bringing a configuration into force, and back into force after a restart. */
import { formatMac } from '../common/address.js';
import { isNtsError, ntsError } from '../common/errors.js';
import type { Store } from '../common/store.js';
import { type Changed, changeConfiguration } from './change.js';
import { OneIp, type OneIpOptions } from './client.js';
import { type ClusterFile, type ClusterMember, toConfiguration } from './cluster-file.js';
import { findMember } from './cluster-schema.js';
import type { Configuration } from './configuration.js';
import { type Names, noNames } from './names.js';
import { explainRefusal, refusalOf } from './refusal.js';
import {
  type Wish,
  forgetConfiguration,
  loadConfiguration,
  loadWish,
  saveConfiguration,
  saveWish,
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
    const found = findMember(members, named);
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

/** Changes values of the configuration in force, as `words` say (KEY=VALUE), and stores the result. */
export async function changeCluster(
  store: Store,
  words: readonly string[],
  check: boolean,
  options: OneIpOptions,
): Promise<Changed> {
  return store.exclusively(async () => {
    const oneIp = await OneIp.open(options);
    try {
      const present = await oneIp.configuration();
      if (!present) {
        const what = 'no configuration is in force on this node; run: ntswift oneip apply FILE';
        throw ntsError('NTS_ERR_SERVICE', { what });
      }
      const stored = loadConfiguration(store);
      const names = stored?.names ?? noNames;
      const changed = changeConfiguration(present, words, names);
      if (check || changed.changes.length === 0) return changed;
      if (stored?.configuration.generation !== present.generation) {
        const what =
          'the configuration in force was not applied by this program, so its key is not known; change the cluster file and run: ntswift oneip apply FILE';
        throw ntsError('NTS_ERR_SERVICE', { what });
      }
      const { beaconKey } = stored.configuration;
      await oneIp.setConfiguration({ ...changed.configuration, beaconKey });
      const inForce = (await oneIp.configuration()) ?? changed.configuration;
      saveConfiguration(store, {
        configuration: { ...inForce, beaconKey },
        names,
        source: stored.source,
        appliedAt: new Date().toISOString(),
      });
      return changed;
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
  await wish(store, 'veto', veto, options, (oneIp) => oneIp.veto(veto));
}

export async function drainNode(
  store: Store,
  drain: boolean,
  options: OneIpOptions,
): Promise<void> {
  await wish(store, 'drain', drain, options, (oneIp) => oneIp.drain(drain));
}

async function wish(
  store: Store,
  name: Wish,
  on: boolean,
  options: OneIpOptions,
  tell: (oneIp: OneIp) => Promise<void>,
): Promise<void> {
  await store.exclusively(async () => {
    const oneIp = await OneIp.open(options);
    try {
      await tell(oneIp);
      saveWish(store, name, on);
    } finally {
      await oneIp.close();
    }
  });
}

export interface Restored {
  /** That is in force again; null where nothing was stored or the driver has a configuration already. */
  readonly generation: bigint | null;
  readonly draining: boolean;
}

/** After the driver was started: what was in force before is so again. */
export async function reapply(store: Store, options: OneIpOptions): Promise<Restored> {
  return store.exclusively(async () => {
    const applied = loadConfiguration(store);
    const veto = loadWish(store, 'veto');
    const draining = loadWish(store, 'drain');
    if (!applied && !veto && !draining) return { generation: null, draining };
    const oneIp = await OneIp.open(options);
    try {
      // Before the configuration, so that the node never does what it must not.
      if (veto) await oneIp.veto(true);
      if (draining) await oneIp.drain(true);
      if (!applied || (await oneIp.configuration())) return { generation: null, draining };
      await oneIp.setConfiguration(applied.configuration);
      return { generation: applied.configuration.generation, draining };
    } finally {
      await oneIp.close();
    }
  });
}
