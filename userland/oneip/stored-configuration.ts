/**
 * A configuration as an earlier release stored it, in today's contract.
 *
 * Version 1 had no flows, port rules and past table: its header ended with a reserved word where now
 * PastSlots is, its arrays were the same. What it could not say gets the defaults.
 */
import { ntsError } from '../common/errors.js';
import { ONEIP_CONTRACT_VERSION, OneIpConfig } from './codec.js';
import { type Configuration, DEFAULT_FLOWS, decodeConfiguration } from './configuration.js';

const HEADER_BYTES_1 = 104;

/** Throws NTS_ERR_CONTRACT where this program cannot read it. */
export function decodeStored(bytes: Uint8Array): Configuration {
  const stored = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = stored.length >= 4 ? stored.readUInt32LE(0) : 0;
  switch (version) {
    case ONEIP_CONTRACT_VERSION:
      return decodeConfiguration(stored);
    case 1:
      return decodeConfiguration(fromVersion1(stored));
    default: {
      const what = `the stored configuration is of version ${version} of the contract, which this program does not know; bring the cluster file into force again: ntswift oneip apply FILE`;
      throw ntsError('NTS_ERR_CONTRACT', { what });
    }
  }
}

function fromVersion1(stored: Buffer): Buffer {
  if (stored.length < HEADER_BYTES_1 || stored.readUInt32LE(4) !== stored.length) {
    const what = `the stored configuration of version 1 is damaged (${stored.length} bytes); bring the cluster file into force again: ntswift oneip apply FILE`;
    throw ntsError('NTS_ERR_CONTRACT', { what });
  }
  const header = Buffer.alloc(OneIpConfig.size);
  stored.copy(header, 0, 0, HEADER_BYTES_1);
  const arrays = stored.subarray(HEADER_BYTES_1);
  const size = OneIpConfig.size + arrays.length;
  const converted = { ...OneIpConfig.decode(header), ...DEFAULT_FLOWS, version: 2, size };
  return Buffer.concat([OneIpConfig.encode(converted), arrays]);
}
