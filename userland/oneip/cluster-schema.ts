/** The schema of the cluster file: every value's, and what the values together must be. */
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
import { type Path, mapping, parsed, whole } from '../common/yaml.js';
import {
  ONEIP_KEY_BYTES,
  ONEIP_MAX_ADDRESSES,
  ONEIP_MAX_ANNOUNCE_SECONDS,
  ONEIP_MAX_BEACON_MS,
  ONEIP_MAX_FLOWS,
  ONEIP_MAX_IDLE_SECONDS,
  ONEIP_MAX_MEMBERS,
  ONEIP_MAX_RULES,
  ONEIP_MAX_SILENCE_BEACONS,
  ONEIP_MAX_WEIGHT,
  ONEIP_MIN_BEACON_MS,
  ONEIP_MIN_FLOWS,
  ONEIP_MIN_SILENCE_BEACONS,
  ONEIP_TABLE_SLOTS,
  OneIpAffinity,
  OneIpDispatch,
  OneIpFamily,
} from './codec.js';
import { NO_MEMBER } from './configuration.js';
import { type PortRange, RuleProtocol, overlap, parsePorts, rangeText } from './port-rule.js';

export interface ClusterAddress {
  readonly family: OneIpFamily;
  /** Sixteen; IPv4 uses the first four. */
  readonly bytes: Uint8Array;
  readonly text: string;
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

/** Values that "oneip set" changes as well; flows and beacon by the names of the file. */
export const values = {
  weight: whole(0, ONEIP_MAX_WEIGHT),
  rank: whole(0, 0xffffffff),
  affinity: choice({
    client: OneIpAffinity.client,
    network: OneIpAffinity.network,
    'five-tuple': OneIpAffinity.fiveTuple,
  }),
  dispatch: choice({ table: OneIpDispatch.table, modulo: OneIpDispatch.modulo }),
  beacon: {
    ms: whole(ONEIP_MIN_BEACON_MS, ONEIP_MAX_BEACON_MS),
    silence: whole(ONEIP_MIN_SILENCE_BEACONS, ONEIP_MAX_SILENCE_BEACONS),
    announceSeconds: whole(1, ONEIP_MAX_ANNOUNCE_SECONDS),
  },
  flows: {
    capacity: whole(ONEIP_MIN_FLOWS, ONEIP_MAX_FLOWS),
    tcpIdle: whole(1, ONEIP_MAX_IDLE_SECONDS),
    udpIdle: whole(1, ONEIP_MAX_IDLE_SECONDS),
    opening: whole(1, ONEIP_MAX_IDLE_SECONDS),
    closing: whole(1, ONEIP_MAX_IDLE_SECONDS),
  },
} as const;

const memberSchema = mapping(
  {
    id: whole(1, MAX_NODE_ID),
    name: parsed(
      (text) => (/^[A-Za-z0-9][\w.-]{0,62}$/.test(text) ? text : null),
      'a name of letters, digits, dots and dashes, 63 at most',
    ).optional(),
    rank: values.rank.optional(),
    weight: values.weight.optional(),
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

const portsSchema = mapping(
  {
    protocol: choice(RuleProtocol).optional(),
    ports: parsed<PortRange>(parsePorts, 'a port or a range of ports, as 80-443, up to 65535'),
    affinity: values.affinity.optional(),
    single: z.string('the name or id of a member').min(1, 'the name or id of a member').optional(),
    blocked: choice({ true: 1, false: 0 }).optional(),
  },
  'a mapping of ports, protocol, and affinity, single or blocked',
);

const rulesSchema = mapping(
  {
    affinity: values.affinity.optional(),
    dispatch: values.dispatch.optional(),
    ports: z
      .array(portsSchema, 'a list of port rules')
      .max(ONEIP_MAX_RULES, `a list of ${ONEIP_MAX_RULES} port rules at most`)
      .optional(),
  },
  'a mapping of affinity, dispatch and ports',
);

const beaconSchema = mapping(
  {
    ms: values.beacon.ms.optional(),
    silence: values.beacon.silence.optional(),
    announceSeconds: values.beacon.announceSeconds.optional(),
    key: key().optional(),
    keyFile: z.string('the path of a file that holds the key').min(1).optional(),
  },
  'a mapping of ms, silence, announceSeconds and key or keyFile',
);

const flowsSchema = mapping(
  {
    capacity: values.flows.capacity.optional(),
    tcpIdle: values.flows.tcpIdle.optional(),
    udpIdle: values.flows.udpIdle.optional(),
    opening: values.flows.opening.optional(),
    closing: values.flows.closing.optional(),
  },
  'a mapping of capacity, tcpIdle, udpIdle, opening and closing',
);

const slots = (): z.ZodOptional<z.ZodType<Uint8Array, string>> =>
  parsed(
    parseTable,
    `a table of ${ONEIP_TABLE_SLOTS} slots, as "oneip show --export" writes it`,
  ).optional();

export const fileSchema = mapping(
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
    flows: flowsSchema.optional(),
    beacon: beaconSchema,
    hashKey: key().optional(),
    table: slots(),
    past: slots(),
  },
  'a mapping of clusterId, generation, addresses, members and beacon',
).superRefine((file, context) => {
  for (const { path: where, message } of contradictions(file)) {
    context.addIssue({ code: 'custom', path: [...where], message });
  }
});

export type ParsedFile = z.output<typeof fileSchema>;

interface Problem {
  readonly path: Path;
  readonly message: string;
}

/** What each value alone cannot show. */
function contradictions(file: ParsedFile): Problem[] {
  return [...inMembers(file), ...inRules(file), ...inKeys(file), ...inTables(file)];
}

function inMembers({ addresses, members }: ParsedFile): Problem[] {
  const found: Problem[] = [];
  const firsts = new Map<string, string>();
  const unique = (path: Path, what: string, value: string, owner: string): boolean => {
    const first = firsts.get(`${what} ${value}`);
    if (!first) firsts.set(`${what} ${value}`, owner);
    else {
      const message = `the ${what} ${value} is that of ${first} already; each needs its own`;
      found.push({ path, message });
    }
    return !first;
  };

  addresses.forEach(({ text }, i) => unique(['addresses', i], 'address', text, `addresses[${i}]`));
  members.forEach((member, i) => {
    const path = ['members', i];
    const owner = `member "${nameOf(member)}"`;
    if (unique([...path, 'id'], 'id', String(member.id), owner)) {
      unique([...path, 'name'], 'name', nameOf(member), owner);
    }
    unique([...path, 'rank'], 'rank', String(member.rank ?? i), owner);
    unique([...path, 'mac'], 'MAC address', formatMac(member.mac), owner);
    if (member.ipv4) unique([...path, 'ipv4'], 'address', formatIpv4(member.ipv4), owner);
    if (member.ipv6) unique([...path, 'ipv6'], 'address', formatIpv6(member.ipv6), owner);
    for (const [family, own] of [
      [OneIpFamily.ipv4, 'ipv4'],
      [OneIpFamily.ipv6, 'ipv6'],
    ] as const) {
      const served = addresses.find((cluster) => cluster.family === family);
      if (!served || member[own]) continue;
      const message = `${owner} needs its own ${own}, since the cluster address ${served.text} is of that family`;
      found.push({ path, message });
    }
  });
  if (members.every(({ weight }) => weight === 0)) {
    const message = 'every member has weight 0, so none would serve; give one a weight';
    found.push({ path: ['members'], message });
  }
  return found;
}

function inRules({ members, rules }: ParsedFile): Problem[] {
  const found: Problem[] = [];
  const ranges = (rules?.ports ?? []).map(({ protocol, ports }) => ({
    protocol: protocol ?? RuleProtocol.both,
    firstPort: ports.first,
    lastPort: ports.last,
  }));
  rules?.ports?.forEach(({ affinity, single, blocked }, i) => {
    const path = ['rules', 'ports', i];
    const said = [
      ...(affinity === undefined ? [] : ['affinity']),
      ...(single === undefined ? [] : ['single']),
      ...(blocked ? ['blocked'] : []),
    ];
    if (said.length > 1) {
      const message = `${said.join(' and ')} contradict each other; keep one of them`;
      found.push({ path: [...path, said[1]!], message });
    }
    if (single !== undefined && !findMember(members, single)) {
      const known = members.map(nameOf).join(', ');
      const message = `no member is called "${single}"; the members are ${known}`;
      found.push({ path: [...path, 'single'], message });
    }
    const first = ranges.slice(0, i).findIndex((range) => overlap(range, ranges[i]!));
    if (first < 0) return;
    const message = `${rangeText(ranges[i]!)} overlaps rules.ports[${first}], ${rangeText(ranges[first]!)}; each port of a protocol has one rule`;
    found.push({ path: [...path, 'ports'], message });
  });
  return found;
}

function inKeys({ beacon: { key: inline, keyFile } }: ParsedFile): Problem[] {
  if (inline && keyFile) {
    const message = 'there is a key already; keep one of key and keyFile';
    return [{ path: ['beacon', 'keyFile'], message }];
  }
  if (!inline && !keyFile) {
    const message =
      'beacon.key is missing: 32 hexadecimal digits (openssl rand -hex 16), the same on all nodes; or beacon.keyFile';
    return [{ path: ['beacon'], message }];
  }
  if (!inline?.every((byte) => byte === 0)) return [];
  const message = 'the key is all zero; make one: openssl rand -hex 16';
  return [{ path: ['beacon', 'key'], message }];
}

function inTables({ members, rules, table, past }: ParsedFile): Problem[] {
  const found: Problem[] = [];
  const add = (key: 'table' | 'past', message: string): void => {
    found.push({ path: [key], message });
  };
  const stranger = (key: 'table' | 'past', at: number | undefined): void => {
    if (at === undefined || at < 0) return;
    add(
      key,
      `slot ${at} of the ${key === 'table' ? 'table' : 'past table'} belongs to a member that is not in this file; remove the table or mend the members`,
    );
  };
  stranger(
    'table',
    table?.findIndex((member) => member >= members.length),
  );
  stranger(
    'past',
    past?.findIndex((member) => member >= members.length && member !== NO_MEMBER),
  );
  if (past && !table) add('past', 'a past table belongs to a table; remove it, or add the table');
  if (table && rules?.dispatch === OneIpDispatch.modulo) {
    add('table', 'rules.dispatch is modulo, which uses no table; remove one of them');
  }
  return found;
}

// Values

export function nameOf({ id, name }: { id: number; name?: string | undefined }): string {
  return name ?? `node${id}`;
}

/** By its name, else by its id. */
export function findMember<M extends { id: number; name?: string | undefined }>(
  members: readonly M[],
  named: string,
): M | undefined {
  return (
    members.find((member) => nameOf(member) === named) ??
    members.find(({ id }) => String(id) === named)
  );
}

function only(bytes: Uint8Array | null, test: (bytes: Uint8Array) => boolean): Uint8Array | null {
  return bytes && test(bytes) ? bytes : null;
}

function address(family: OneIpFamily, bytes: Uint8Array, text: string): ClusterAddress {
  const whole = new Uint8Array(16);
  whole.set(bytes);
  return { family, bytes: whole, text };
}

function choice<T extends number>(words: Readonly<Record<string, T>>): z.ZodType<T, string> {
  const error = `one of ${Object.keys(words).join(', ')}`;
  return parsed<T>((text) => (Object.hasOwn(words, text) ? words[text]! : null), error);
}

export function parseKey(text: string): Uint8Array | null {
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
