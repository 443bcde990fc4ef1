/**
 * Changing some values of the configuration in force: `ntswift oneip set`.
 *
 * The result depends on the configuration in force and on what is asked, on nothing else; so the same
 * command on nodes with the same configuration gives the same configuration. The table is left to the
 * driver, which moves the present one as little as possible, on every node alike.
 */
import type { z } from 'zod';
import { ntsError } from '../common/errors.js';
import { constantName } from '../common/struct.js';
import { values } from './cluster-schema.js';
import { OneIpAffinity, OneIpDispatch, type OneIpMember } from './codec.js';
import type { Configuration } from './configuration.js';
import { type Names, nodeName } from './names.js';
import { SETTABLE, type SettableKey, settableKeys } from './settable.js';

export interface Change {
  readonly key: string;
  readonly from: string;
  readonly to: string;
}

export interface Changed {
  /** With the next generation; the present one where nothing changes. */
  readonly configuration: Configuration;
  /** Without what has the value already. */
  readonly changes: readonly Change[];
}

interface Setting {
  readonly schema: z.ZodType<number, string>;
  read(configuration: Configuration): number;
  write(configuration: Configuration, value: number): Configuration;
  text(value: number): string;
}

type NumberKey = {
  [K in keyof Configuration]: Configuration[K] extends number ? K : never;
}[keyof Configuration];

function plain(
  key: NumberKey,
  schema: z.ZodType<number, string>,
  text: (value: number) => string = String,
): Setting {
  return {
    schema,
    read: (configuration) => configuration[key],
    write: (configuration, value) => ({ ...configuration, [key]: value }),
    text,
  };
}

const settings: Readonly<Record<SettableKey, Setting>> = {
  affinity: plain('affinity', values.affinity, (value) => constantName(OneIpAffinity, value)),
  dispatch: plain('dispatch', values.dispatch, (value) => constantName(OneIpDispatch, value)),
  'beacon.ms': plain('beaconMilliseconds', values.beacon.ms),
  'beacon.silence': plain('silenceBeacons', values.beacon.silence),
  'beacon.announceSeconds': plain('announceSeconds', values.beacon.announceSeconds),
  'flows.capacity': plain('flowCapacity', values.flows.capacity),
  'flows.tcpIdle': plain('tcpIdleSeconds', values.flows.tcpIdle),
  'flows.udpIdle': plain('udpIdleSeconds', values.flows.udpIdle),
  'flows.opening': plain('openingSeconds', values.flows.opening),
  'flows.closing': plain('closingSeconds', values.flows.closing),
};

function ofMember(key: 'weight' | 'rank', index: number): Setting {
  return {
    schema: values[key],
    read: ({ members }) => members[index]![key],
    write: (configuration, value) => ({
      ...configuration,
      members: configuration.members.with(index, {
        ...configuration.members[index]!,
        [key]: value,
      }),
    }),
    text: String,
  };
}

function wrong(what: string): never {
  throw ntsError('NTS_ERR_USAGE', { what });
}

function find(key: string, members: readonly OneIpMember[], names: Names): Setting {
  const plainKey = settableKeys.find((settable) => settable === key);
  if (plainKey) return settings[plainKey];
  const match = /^(weight|rank)\.(.+)$/.exec(key);
  if (!match) wrong(`"${key}" cannot be set; these can: ${SETTABLE.join(', ')}`);
  const [, what, named] = match as unknown as [string, 'weight' | 'rank', string];
  const byName = members.findIndex(({ nodeId }) => nodeName(nodeId, names) === named);
  const index = byName >= 0 ? byName : members.findIndex(({ nodeId }) => String(nodeId) === named);
  if (index >= 0) return ofMember(what, index);
  const known = members.map(({ nodeId }) => nodeName(nodeId, names)).join(', ');
  return wrong(`${key}: no member is called "${named}"; the members are ${known}`);
}

/** `words`: KEY=VALUE. */
export function changeConfiguration(
  present: Configuration,
  words: readonly string[],
  names: Names,
): Changed {
  const changes: Change[] = [];
  const seen = new Set<string>();
  let configuration = present;
  for (const word of words) {
    const [, key = '', text = ''] =
      /^([^=]+)=(.*)$/s.exec(word) ?? wrong(`"${word}" is not KEY=VALUE`);
    if (seen.has(key)) wrong(`${key} is given twice`);
    seen.add(key);
    const setting = find(key, present.members, names);
    const parsed = setting.schema.safeParse(text);
    if (!parsed.success) wrong(`${key}: "${text}" is not ${parsed.error.issues[0]!.message}`);
    const from = setting.read(configuration);
    if (from === parsed.data) continue;
    configuration = setting.write(configuration, parsed.data);
    changes.push({ key, from: setting.text(from), to: setting.text(parsed.data) });
  }
  if (changes.length === 0) return { configuration: present, changes };
  check(configuration, names);
  const generation = present.generation + 1n;
  return { configuration: { ...configuration, generation, table: null, past: null }, changes };
}

/** What the values together must be. */
function check({ members }: Configuration, names: Names): void {
  const byRank = new Map<number, string>();
  for (const { nodeId, rank } of members) {
    const name = nodeName(nodeId, names);
    const other = byRank.get(rank);
    if (other) wrong(`${other} and ${name} would both have rank ${rank}; each needs its own`);
    byRank.set(rank, name);
  }
  if (members.every(({ weight }) => weight === 0)) {
    wrong('every member would have weight 0, so none would serve');
  }
}
