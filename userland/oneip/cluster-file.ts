/**
 * The cluster file: what `ntswift oneip apply` reads on each node (docs/cluster-file.md).
 *
 * Everything that can be told without the driver is told here, all at once and with its place in the
 * file; the driver checks again, and what it alone knows.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { inflateSync } from 'node:zlib';
import { z } from 'zod';
import {
  formatIpv4,
  formatIpv6,
  formatMac,
  isUnicastIpv4,
  isUnicastIpv6,
  isUnicastMac,
  parseIpv4,
  parseIpv6,
  parseMac,
} from '../common/address.js';
import { ntsError } from '../common/errors.js';
import { readSecret } from '../common/secret-file.js';
import { type Path, YamlProblems, mapping, parsed, readYaml, whole } from '../common/yaml.js';
import {
  ONEIP_KEY_BYTES,
  ONEIP_MAX_ADDRESSES,
  ONEIP_MAX_ANNOUNCE_SECONDS,
  ONEIP_MAX_BEACON_MS,
  ONEIP_MAX_MEMBERS,
  ONEIP_MAX_SILENCE_BEACONS,
  ONEIP_MAX_WEIGHT,
  ONEIP_MIN_BEACON_MS,
  ONEIP_MIN_SILENCE_BEACONS,
  ONEIP_TABLE_SLOTS,
  OneIpAffinity,
  OneIpDispatch,
  OneIpFamily,
} from './codec.js';
import type { Configuration } from './configuration.js';

export interface ClusterAddress {
  readonly family: OneIpFamily;
  /** Sixteen; IPv4 uses the first four. */
  readonly bytes: Uint8Array;
  readonly text: string;
}

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
  readonly beacon: {
    readonly ms: number;
    readonly silence: number;
    readonly announceSeconds: number;
  };
  readonly table: Uint8Array | null;
}

export interface ClusterFile extends Cluster {
  readonly file: string;
  /** "file:line:column" of what stands at a path. */
  locate(path: Path): string;
}

const MAX_NODE_ID = 0xfffffffe;

// Schema

const key = (): z.ZodType<Uint8Array, string> =>
  parsed(parseKey, `${2 * ONEIP_KEY_BYTES} hexadecimal digits`);

const clusterAddress = parsed<ClusterAddress>((text) => {
  const v4 = parseIpv4(text);
  if (v4 && isUnicastIpv4(v4)) return address(OneIpFamily.ipv4, v4, text);
  const v6 = parseIpv6(text);
  if (v6 && isUnicastIpv6(v6)) return address(OneIpFamily.ipv6, v6, formatIpv6(v6));
  return null;
}, 'a unicast IPv4 or IPv6 address');

const memberSchema = mapping(
  {
    id: whole(1, MAX_NODE_ID),
    name: parsed(
      (text) => (/^[A-Za-z0-9][\w.-]{0,62}$/.test(text) ? text : null),
      'a name of letters, digits, dots and dashes, 63 at most',
    ).optional(),
    rank: whole(0, 0xffffffff).optional(),
    weight: whole(0, ONEIP_MAX_WEIGHT).optional(),
    mac: parsed(
      (text) => only(parseMac(text), isUnicastMac),
      'the MAC address of one adapter, as 02:00:5e:10:00:01',
    ),
    ipv4: parsed(
      (text) => only(parseIpv4(text), isUnicastIpv4),
      'a unicast IPv4 address',
    ).optional(),
    ipv6: parsed(
      (text) => only(parseIpv6(text), isUnicastIpv6),
      'a unicast IPv6 address',
    ).optional(),
  },
  'a mapping of id, mac and so on',
);

const rulesSchema = mapping(
  {
    affinity: choice({ client: OneIpAffinity.client, 'five-tuple': OneIpAffinity.fiveTuple }),
    dispatch: choice({ table: OneIpDispatch.table, modulo: OneIpDispatch.modulo }),
  },
  'a mapping of affinity and dispatch',
);

const beaconSchema = mapping(
  {
    ms: whole(ONEIP_MIN_BEACON_MS, ONEIP_MAX_BEACON_MS).optional(),
    silence: whole(ONEIP_MIN_SILENCE_BEACONS, ONEIP_MAX_SILENCE_BEACONS).optional(),
    announceSeconds: whole(1, ONEIP_MAX_ANNOUNCE_SECONDS).optional(),
    key: key().optional(),
    keyFile: z.string('the path of a file that holds the key').min(1).optional(),
  },
  'a mapping of ms, silence, announceSeconds and key or keyFile',
);

const fileSchema = mapping(
  {
    clusterId: parsed(parseId, 'a UUID or 32 hexadecimal digits'),
    generation: whole(1, Number.MAX_SAFE_INTEGER),
    addresses: z
      .array(clusterAddress, 'a list of cluster addresses')
      .min(1, 'a list with an address in it')
      .max(ONEIP_MAX_ADDRESSES, `a list of ${ONEIP_MAX_ADDRESSES} addresses at most`),
    members: z
      .array(memberSchema, 'a list of members')
      .min(1, 'a list with a member in it')
      .max(ONEIP_MAX_MEMBERS, `a list of ${ONEIP_MAX_MEMBERS} members at most`),
    rules: rulesSchema.optional(),
    beacon: beaconSchema,
    hashKey: key().optional(),
    table: parsed(
      parseTable,
      `a table of ${ONEIP_TABLE_SLOTS} slots, as "oneip show --export" writes it`,
    ).optional(),
  },
  'a mapping of clusterId, generation, addresses, members and beacon',
).superRefine((file, context) => {
  for (const { path: where, message } of contradictions(file)) {
    context.addIssue({ code: 'custom', path: [...where], message });
  }
});

type Parsed = z.output<typeof fileSchema>;

/** What each value alone cannot show. */
function contradictions(file: Parsed): { path: Path; message: string }[] {
  const found: { path: Path; message: string }[] = [];
  const add = (where: Path, message: string): void => {
    found.push({ path: where, message });
  };
  const firsts = new Map<string, string>();
  const unique = (where: Path, what: string, value: string, owner: string): boolean => {
    const first = firsts.get(`${what} ${value}`);
    if (first) add(where, `the ${what} ${value} is that of ${first} already; each needs its own`);
    else firsts.set(`${what} ${value}`, owner);
    return !first;
  };

  file.addresses.forEach(({ text }, i) =>
    unique(['addresses', i], 'address', text, `addresses[${i}]`),
  );
  file.members.forEach((member, i) => {
    const where = ['members', i];
    const owner = `member "${nameOf(member)}"`;
    if (unique([...where, 'id'], 'id', String(member.id), owner)) {
      unique([...where, 'name'], 'name', nameOf(member), owner);
    }
    unique([...where, 'rank'], 'rank', String(member.rank ?? i), owner);
    unique([...where, 'mac'], 'MAC address', formatMac(member.mac), owner);
    if (member.ipv4) unique([...where, 'ipv4'], 'address', formatIpv4(member.ipv4), owner);
    if (member.ipv6) unique([...where, 'ipv6'], 'address', formatIpv6(member.ipv6), owner);
    for (const [family, own] of [
      [OneIpFamily.ipv4, 'ipv4'],
      [OneIpFamily.ipv6, 'ipv6'],
    ] as const) {
      const served = file.addresses.find((cluster) => cluster.family === family);
      if (served && !member[own]) {
        add(
          where,
          `${owner} needs its own ${own}, since the cluster address ${served.text} is of that family`,
        );
      }
    }
  });
  if (file.members.every(({ weight }) => weight === 0)) {
    add(['members'], 'every member has weight 0, so none would serve; give one a weight');
  }

  const { key: inline, keyFile } = file.beacon;
  if (inline && keyFile)
    add(['beacon', 'keyFile'], 'there is a key already; keep one of key and keyFile');
  if (!inline && !keyFile) {
    add(
      ['beacon'],
      'beacon.key is missing: 32 hexadecimal digits (openssl rand -hex 16), the same on all nodes; or beacon.keyFile',
    );
  }
  if (inline?.every((byte) => byte === 0))
    add(['beacon', 'key'], 'the key is all zero; make one: openssl rand -hex 16');

  const bad = file.table?.findIndex((member) => member >= file.members.length) ?? -1;
  if (bad >= 0)
    add(
      ['table'],
      `slot ${bad} of the table belongs to a member that is not in this file; remove the table or mend the members`,
    );
  if (file.table && file.rules?.dispatch === OneIpDispatch.modulo) {
    add(['table'], 'rules.dispatch is modulo, which uses no table; remove one of them');
  }
  return found;
}

// Reading

export async function readClusterFile(file: string): Promise<ClusterFile> {
  const secret = await readSecret(file);
  const { value, locate } = located(secret.text, file);
  if (value.beacon.key) secret.requirePrivate();
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
    affinity: value.rules?.affinity ?? OneIpAffinity.client,
    dispatch: value.rules?.dispatch ?? OneIpDispatch.table,
    beacon: {
      ms: value.beacon.ms ?? 10,
      silence: value.beacon.silence ?? 3,
      announceSeconds: value.beacon.announceSeconds ?? 60,
    },
    table: value.table ?? null,
  };
}

function located(text: string, file: string): { value: Parsed; locate: (path: Path) => string } {
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
    addresses: cluster.addresses.map(({ family, bytes }) => ({ family, address: bytes })),
    members: cluster.members.map((member) => ({
      nodeId: member.id,
      rank: member.rank,
      weight: member.weight,
      mac: member.mac,
      ipv4: member.ipv4 ?? none.subarray(0, 4),
      ipv6: member.ipv6 ?? none,
    })),
    table: cluster.table,
  };
}

// Values

function nameOf({ id, name }: { id: number; name?: string | undefined }): string {
  return name ?? `node${id}`;
}

function only(bytes: Uint8Array | null, test: (bytes: Uint8Array) => boolean): Uint8Array | null {
  return bytes && test(bytes) ? bytes : null;
}

function address(family: OneIpFamily, bytes: Uint8Array, text: string): ClusterAddress {
  const whole = new Uint8Array(16);
  whole.set(bytes);
  return { family, bytes: whole, text };
}

function choice<T extends number>(
  words: Readonly<Record<string, T>>,
): z.ZodOptional<z.ZodType<T, string>> {
  const error = `one of ${Object.keys(words).join(', ')}`;
  return parsed<T>((text) => (Object.hasOwn(words, text) ? words[text]! : null), error).optional();
}

function parseKey(text: string): Uint8Array | null {
  if (!/^[0-9a-f]+$/i.test(text) || text.length !== 2 * ONEIP_KEY_BYTES) return null;
  return Uint8Array.from(Buffer.from(text, 'hex'));
}

/** A UUID is its 32 digits with dashes between. */
function parseId(text: string): Uint8Array | null {
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
  return parseKey(uuid ? text.replaceAll('-', '') : text);
}

function parseTable(text: string): Uint8Array | null {
  try {
    const bytes = inflateSync(Buffer.from(text.replace(/\s/g, ''), 'base64'), {
      maxOutputLength: ONEIP_TABLE_SLOTS,
    });
    return bytes.length === ONEIP_TABLE_SLOTS ? Uint8Array.from(bytes) : null;
  } catch {
    return null;
  }
}

/** The same on all nodes, and of no use to anybody who does not know the cluster's id. */
function deriveHashKey(clusterId: Uint8Array): Uint8Array {
  const digest = createHash('sha256').update('ntswift oneip hash key').update(clusterId).digest();
  return Uint8Array.from(digest.subarray(0, ONEIP_KEY_BYTES));
}
