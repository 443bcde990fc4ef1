/** A whole configuration of the driver, as ONEIP_CONFIG with its arrays carries it. */
import { ntsError } from '../common/errors.js';
import { type Decoded } from '../common/struct.js';
import {
  ONEIP_CONTRACT_VERSION,
  ONEIP_DEFAULT_FLOWS,
  ONEIP_MAX_ADDRESSES,
  ONEIP_MAX_MEMBERS,
  ONEIP_MAX_RULES,
  ONEIP_TABLE_SLOTS,
  OneIpAddress,
  OneIpConfig,
  OneIpMember,
  OneIpRule,
} from './codec.js';

type Header = Omit<
  Decoded<typeof OneIpConfig>,
  'version' | 'size' | 'addressCount' | 'memberCount' | 'ruleCount' | 'tableSlots' | 'pastSlots'
>;

export interface Configuration extends Header {
  readonly addresses: readonly OneIpAddress[];
  readonly members: readonly OneIpMember[];
  readonly rules: readonly OneIpRule[];
  /** Of each slot the index of its member; null leaves the table to the driver. */
  readonly table: Uint8Array | null;
  /** Of each slot the index of the member that had it before, or NO_MEMBER; null without a table. */
  readonly past: Uint8Array | null;
}

/** In a past table: nobody had the slot. */
export const NO_MEMBER = 0xff;

/** What the contract names as defaults; seconds. */
export const DEFAULT_FLOWS = {
  flowCapacity: ONEIP_DEFAULT_FLOWS,
  tcpIdleSeconds: 7440,
  udpIdleSeconds: 300,
  openingSeconds: 30,
  closingSeconds: 60,
} as const;

/** A table is padded, so that the size is a multiple of this. */
const ALIGNMENT = 8;

const padded = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** No configuration is longer. */
export const CONFIGURATION_LIMIT =
  OneIpConfig.size +
  ONEIP_MAX_ADDRESSES * OneIpAddress.size +
  ONEIP_MAX_MEMBERS * OneIpMember.size +
  ONEIP_MAX_RULES * OneIpRule.size +
  2 * padded(ONEIP_TABLE_SLOTS);

export function encodeConfiguration(configuration: Configuration): Buffer {
  const { addresses, members, rules, table, past, ...header } = configuration;
  if (past && !table) throw ntsError('NTS_ERR_CODEC', { what: 'a past table without a table' });
  const arrays = [
    OneIpAddress.encodeArray(addresses),
    OneIpMember.encodeArray(members),
    OneIpRule.encodeArray(rules),
  ];
  for (const slots of [table, past]) {
    if (!slots) continue;
    if (slots.length !== ONEIP_TABLE_SLOTS) {
      throw ntsError('NTS_ERR_CODEC', { what: `a table of ${slots.length} slots` });
    }
    arrays.push(Buffer.concat([slots], padded(slots.length)));
  }
  const size = arrays.reduce((sum, { length }) => sum + length, OneIpConfig.size);
  const encoded = OneIpConfig.encode({
    ...header,
    version: ONEIP_CONTRACT_VERSION,
    size,
    addressCount: addresses.length,
    memberCount: members.length,
    ruleCount: rules.length,
    tableSlots: table?.length ?? 0,
    pastSlots: past?.length ?? 0,
  });
  return Buffer.concat([encoded, ...arrays]);
}

function bad(what: string): never {
  throw ntsError('NTS_ERR_CODEC', { what: `ONEIP_CONFIG: ${what}` });
}

export function decodeConfiguration(bytes: Uint8Array): Configuration {
  if (bytes.length < OneIpConfig.size) bad(`${bytes.length} bytes are too few`);
  const { version, size, addressCount, memberCount, ruleCount, tableSlots, pastSlots, ...header } =
    OneIpConfig.decode(bytes.subarray(0, OneIpConfig.size));
  if (version !== ONEIP_CONTRACT_VERSION) bad(`version ${version}`);
  if (tableSlots !== 0 && tableSlots !== ONEIP_TABLE_SLOTS) bad(`${tableSlots} slots`);
  if (pastSlots !== 0 && pastSlots !== tableSlots) bad(`${pastSlots} slots of the past`);
  const addressesAt = OneIpConfig.size;
  const membersAt = addressesAt + addressCount * OneIpAddress.size;
  const rulesAt = membersAt + memberCount * OneIpMember.size;
  const tableAt = rulesAt + ruleCount * OneIpRule.size;
  const pastAt = tableAt + padded(tableSlots);
  const end = pastAt + padded(pastSlots);
  if (size !== end || bytes.length !== end) {
    bad(`${bytes.length} bytes, of which it claims ${size}, where its counts make ${end}`);
  }
  return {
    ...header,
    addresses: OneIpAddress.decodeArray(bytes.subarray(addressesAt, membersAt)),
    members: OneIpMember.decodeArray(bytes.subarray(membersAt, rulesAt)),
    rules: OneIpRule.decodeArray(bytes.subarray(rulesAt, tableAt)),
    table: slotsIn(bytes.subarray(tableAt, pastAt)),
    past: slotsIn(bytes.subarray(pastAt, end)),
  };
}

/** A table and its padding; null where there is none. */
function slotsIn(bytes: Uint8Array): Uint8Array | null {
  if (bytes.length === 0) return null;
  const padding = bytes.subarray(ONEIP_TABLE_SLOTS);
  if (padding.some((byte) => byte !== 0)) bad('the padding after a table is not zero');
  return Uint8Array.from(bytes.subarray(0, ONEIP_TABLE_SLOTS));
}
