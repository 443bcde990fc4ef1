/** A whole configuration of the driver, as ONEIP_CONFIG with its arrays carries it. */
import { ntsError } from '../common/errors.js';
import { type Decoded } from '../common/struct.js';
import {
  ONEIP_CONTRACT_VERSION,
  ONEIP_MAX_ADDRESSES,
  ONEIP_MAX_MEMBERS,
  ONEIP_TABLE_SLOTS,
  OneIpAddress,
  OneIpConfig,
  OneIpMember,
} from './codec.js';

type Header = Omit<
  Decoded<typeof OneIpConfig>,
  'version' | 'size' | 'addressCount' | 'memberCount' | 'tableSlots'
>;

export interface Configuration extends Header {
  readonly addresses: readonly OneIpAddress[];
  readonly members: readonly OneIpMember[];
  /** Of each slot the index of its member; null leaves the table to the driver. */
  readonly table: Uint8Array | null;
}

/** The table is padded, so that the size is a multiple of this. */
const ALIGNMENT = 8;

const padded = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** No configuration is longer. */
export const CONFIGURATION_LIMIT =
  OneIpConfig.size +
  ONEIP_MAX_ADDRESSES * OneIpAddress.size +
  ONEIP_MAX_MEMBERS * OneIpMember.size +
  padded(ONEIP_TABLE_SLOTS);

export function encodeConfiguration(configuration: Configuration): Buffer {
  const { addresses, members, table, ...header } = configuration;
  if (table && table.length !== ONEIP_TABLE_SLOTS) {
    throw ntsError('NTS_ERR_CODEC', { what: `a table of ${table.length} slots` });
  }
  const arrays = [OneIpAddress.encodeArray(addresses), OneIpMember.encodeArray(members)];
  if (table) arrays.push(Buffer.concat([table], padded(table.length)));
  const size = arrays.reduce((sum, { length }) => sum + length, OneIpConfig.size);
  const encoded = OneIpConfig.encode({
    ...header,
    version: ONEIP_CONTRACT_VERSION,
    size,
    addressCount: addresses.length,
    memberCount: members.length,
    tableSlots: table?.length ?? 0,
  });
  return Buffer.concat([encoded, ...arrays]);
}

export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const bad = (what: string): never => {
    throw ntsError('NTS_ERR_CODEC', { what: `ONEIP_CONFIG: ${what}` });
  };
  if (bytes.length < OneIpConfig.size) bad(`${bytes.length} bytes are too few`);
  const { version, size, addressCount, memberCount, tableSlots, ...header } = OneIpConfig.decode(
    bytes.subarray(0, OneIpConfig.size),
  );
  if (version !== ONEIP_CONTRACT_VERSION) bad(`version ${version}`);
  if (tableSlots !== 0 && tableSlots !== ONEIP_TABLE_SLOTS) bad(`${tableSlots} slots`);
  const addressesAt = OneIpConfig.size;
  const membersAt = addressesAt + addressCount * OneIpAddress.size;
  const tableAt = membersAt + memberCount * OneIpMember.size;
  const end = tableAt + padded(tableSlots);
  if (size !== end || bytes.length !== end) {
    bad(`${bytes.length} bytes, of which it claims ${size}, where its counts make ${end}`);
  }
  const padding = bytes.subarray(tableAt + tableSlots);
  if (padding.some((byte) => byte !== 0)) bad('the padding after the table is not zero');
  return {
    ...header,
    addresses: OneIpAddress.decodeArray(bytes.subarray(addressesAt, membersAt)),
    members: OneIpMember.decodeArray(bytes.subarray(membersAt, tableAt)),
    table: tableSlots ? Uint8Array.from(bytes.subarray(tableAt, tableAt + tableSlots)) : null,
  };
}
