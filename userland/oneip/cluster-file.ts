/**
 * The cluster file: what `ntswift oneip apply` reads on each node (docs/cluster-file.md).
 *
 * Everything that can be told without the driver is told here, all at once and with its place in the
 * file; the driver checks again, and what it alone knows.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { ntsError } from '../common/errors.js';
import { readSecret } from '../common/secret-file.js';
import { type Path, YamlProblems, readYaml } from '../common/yaml.js';
import {
  type ClusterAddress,
  type ParsedFile,
  fileSchema,
  findMember,
  nameOf,
  parseKey,
} from './cluster-schema.js';
import {
  ONEIP_KEY_BYTES,
  OneIpAffinity,
  OneIpDispatch,
  type OneIpRule,
  OneIpRuleMode,
} from './codec.js';
import { type Configuration, DEFAULT_FLOWS } from './configuration.js';

export interface ClusterMember {
  readonly id: number;
  readonly name: string;
  readonly rank: number;
  readonly weight: number;
  readonly mac: Uint8Array;
  readonly ipv4: Uint8Array | null;
  readonly ipv6: Uint8Array | null;
}

export interface Cluster {
  readonly clusterId: Uint8Array;
  readonly hashKey: Uint8Array;
  readonly beaconKey: Uint8Array;
  readonly generation: bigint;
  readonly addresses: readonly ClusterAddress[];
  readonly members: readonly ClusterMember[];
  readonly affinity: OneIpAffinity;
  readonly dispatch: OneIpDispatch;
  readonly rules: readonly OneIpRule[];
  readonly beacon: {
    readonly ms: number;
    readonly silence: number;
    readonly announceSeconds: number;
  };
  /** Flows; and seconds. */
  readonly flows: {
    readonly capacity: number;
    readonly tcpIdle: number;
    readonly udpIdle: number;
    readonly opening: number;
    readonly closing: number;
  };
  readonly table: Uint8Array | null;
  readonly past: Uint8Array | null;
}

export interface ClusterFile extends Cluster {
  readonly file: string;
  /** "file:line:column" of what stands at a path. */
  locate(path: Path): string;
}

export async function readClusterFile(file: string): Promise<ClusterFile> {
  const secret = await readSecret(file);
  const { value, locate } = located(secret.text, file);
  if (value.beacon.key) secret.requirePrivate();
  const affinity = value.rules?.affinity ?? OneIpAffinity.client;
  return {
    file,
    locate,
    clusterId: value.clusterId,
    hashKey: value.hashKey ?? deriveHashKey(value.clusterId),
    beaconKey: value.beacon.key ?? (await readKeyFile(file, value.beacon.keyFile!, locate)),
    generation: BigInt(value.generation),
    addresses: value.addresses,
    members: value.members.map((member, i) => ({
      id: member.id,
      name: nameOf(member),
      rank: member.rank ?? i,
      weight: member.weight ?? 1,
      mac: member.mac,
      ipv4: member.ipv4 ?? null,
      ipv6: member.ipv6 ?? null,
    })),
    affinity,
    dispatch: value.rules?.dispatch ?? OneIpDispatch.table,
    rules: rulesOf(value, affinity),
    beacon: {
      ms: value.beacon.ms ?? 10,
      silence: value.beacon.silence ?? 3,
      announceSeconds: value.beacon.announceSeconds ?? 60,
    },
    flows: {
      capacity: value.flows?.capacity ?? DEFAULT_FLOWS.flowCapacity,
      tcpIdle: value.flows?.tcpIdle ?? DEFAULT_FLOWS.tcpIdleSeconds,
      udpIdle: value.flows?.udpIdle ?? DEFAULT_FLOWS.udpIdleSeconds,
      opening: value.flows?.opening ?? DEFAULT_FLOWS.openingSeconds,
      closing: value.flows?.closing ?? DEFAULT_FLOWS.closingSeconds,
    },
    table: value.table ?? null,
    past: value.past ?? null,
  };
}

function rulesOf({ members, rules }: ParsedFile, byDefault: OneIpAffinity): OneIpRule[] {
  return (rules?.ports ?? []).map(({ protocol, ports, affinity, single, blocked }) => {
    const range = { protocol: protocol ?? 0, firstPort: ports.first, lastPort: ports.last };
    if (blocked) return { ...range, mode: OneIpRuleMode.blocked, affinity: 0, owner: 0 };
    if (single !== undefined) {
      const owner = findMember(members, single)!.id;
      return { ...range, mode: OneIpRuleMode.single, affinity: 0, owner };
    }
    return { ...range, mode: OneIpRuleMode.shared, affinity: affinity ?? byDefault, owner: 0 };
  });
}

function located(
  text: string,
  file: string,
): { value: ParsedFile; locate: (path: Path) => string } {
  try {
    return readYaml(text, file, fileSchema);
  } catch (error) {
    if (!(error instanceof YamlProblems)) throw error;
    throw ntsError(
      'NTS_ERR_CLUSTER_FILE',
      { what: error.message },
      { cause: error, facts: { file, problems: error.problems } },
    );
  }
}

async function readKeyFile(
  file: string,
  keyFile: string,
  locate: (path: Path) => string,
): Promise<Uint8Array> {
  const secret = await readSecret(path.resolve(path.dirname(file), keyFile));
  secret.requirePrivate();
  const value = parseKey(secret.text.trim());
  if (value?.some((byte) => byte !== 0)) return value;
  const what = `${locate(['beacon', 'keyFile'])}: ${keyFile} does not hold ${2 * ONEIP_KEY_BYTES} hexadecimal digits, not all zero; make it: openssl rand -hex 16`;
  throw ntsError('NTS_ERR_CLUSTER_FILE', { what });
}

/** For the driver of one node. */
export function toConfiguration(cluster: Cluster, localNode: number): Configuration {
  const none = new Uint8Array(16);
  return {
    generation: cluster.generation,
    clusterId: cluster.clusterId,
    hashKey: cluster.hashKey,
    beaconKey: cluster.beaconKey,
    localNode,
    beaconMilliseconds: cluster.beacon.ms,
    silenceBeacons: cluster.beacon.silence,
    announceSeconds: cluster.beacon.announceSeconds,
    affinity: cluster.affinity,
    dispatch: cluster.dispatch,
    flowCapacity: cluster.flows.capacity,
    tcpIdleSeconds: cluster.flows.tcpIdle,
    udpIdleSeconds: cluster.flows.udpIdle,
    openingSeconds: cluster.flows.opening,
    closingSeconds: cluster.flows.closing,
    addresses: cluster.addresses.map(({ family, bytes }) => ({ family, address: bytes })),
    members: cluster.members.map((member) => ({
      nodeId: member.id,
      rank: member.rank,
      weight: member.weight,
      mac: member.mac,
      ipv4: member.ipv4 ?? none.subarray(0, 4),
      ipv6: member.ipv6 ?? none,
    })),
    rules: cluster.rules,
    table: cluster.table,
    past: cluster.past,
  };
}

/** The same on all nodes, and of no use to anybody who does not know the cluster's id. */
function deriveHashKey(clusterId: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update('ntswift oneip hash key').update(clusterId).digest();
  return Uint8Array.from(digest.subarray(0, ONEIP_KEY_BYTES));
}
