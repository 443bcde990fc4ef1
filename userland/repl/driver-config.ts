/** The driver's configuration: sets and rules as the contract has them, and as this program has them. */
import { ntsError } from '../common/errors.js';
import {
  REPL_CONTRACT_VERSION,
  REPL_MAX_RULES,
  REPL_MAX_SETS,
  ReplConfig,
  type ReplMode,
  ReplRule,
  type ReplRuleKind,
  ReplSet,
} from './codec.js';

export interface DriverRule {
  readonly setId: number;
  readonly kind: ReplRuleKind;
  /** Bytes, of the rule about sizes; else 0. */
  readonly value: bigint;
  /** A wildcard; of the rule about sizes it is empty. */
  readonly name: string;
}

export interface DriverSet {
  readonly id: number;
  readonly mode: ReplMode;
  /** NT path of the folder. */
  readonly root: string;
}

export interface DriverConfig {
  /** Of the configuration that is replaced. */
  readonly generation: bigint;
  readonly streamId: Uint8Array;
  readonly stagingBytes: number;
  readonly journalBytes: bigint;
  readonly blockMs: number;
  readonly durableWaitMs: number;
  readonly sets: readonly DriverSet[];
  readonly rules: readonly DriverRule[];
}

/** Names are short: what the driver holds fits. */
export const DRIVER_CONFIG_LIMIT =
  ReplConfig.size + REPL_MAX_SETS * ReplSet.size + REPL_MAX_RULES * ReplRule.size + (1 << 20);

export function encodeDriverConfig(config: DriverConfig): Buffer {
  const names: Buffer[] = [];
  let nameBytes = 0;
  const place = (name: string): { offset: number; length: number } => {
    const bytes = Buffer.from(name, 'utf16le');
    const offset = nameBytes;
    names.push(bytes);
    nameBytes += bytes.length;
    return { offset, length: bytes.length };
  };
  const sets = ReplSet.encodeArray(
    config.sets.map(({ id, mode, root }) => {
      const { offset, length } = place(root);
      return { setId: id, mode, rootOffset: offset, rootLength: length };
    }),
  );
  // The rules of a set stand together, in the order of the sets.
  const order = new Map(config.sets.map(({ id }, i) => [id, i]));
  const sorted = [...config.rules].sort(
    (a, b) => (order.get(a.setId) ?? 0) - (order.get(b.setId) ?? 0),
  );
  const rules = ReplRule.encodeArray(
    sorted.map(({ setId, kind, value, name }) => {
      const { offset, length } = place(name);
      return { setId, kind, value, nameOffset: offset, nameLength: length };
    }),
  );
  const bytes = ReplConfig.size + sets.length + rules.length + nameBytes;
  const header = ReplConfig.encode({
    contract: REPL_CONTRACT_VERSION,
    bytes,
    generation: config.generation,
    streamId: Uint8Array.from(config.streamId),
    setCount: config.sets.length,
    ruleCount: config.rules.length,
    nameBytes,
    stagingBytes: config.stagingBytes,
    journalBytes: config.journalBytes,
    blockMs: config.blockMs,
    durableWaitMs: config.durableWaitMs,
  });
  return Buffer.concat([header, sets, rules, ...names]);
}

export function decodeDriverConfig(bytes: Buffer): DriverConfig {
  const header = ReplConfig.decode(bytes.subarray(0, ReplConfig.size));
  const setsEnd = ReplConfig.size + header.setCount * ReplSet.size;
  const rulesEnd = setsEnd + header.ruleCount * ReplRule.size;
  if (header.bytes !== bytes.length || rulesEnd + header.nameBytes !== bytes.length) {
    const what = `REPL_CONFIG: ${bytes.length} bytes do not fit what it says of itself`;
    throw ntsError('NTS_ERR_CODEC', { what });
  }
  const name = (offset: number, length: number): string => {
    if (offset + length > header.nameBytes) {
      throw ntsError('NTS_ERR_CODEC', { what: 'REPL_CONFIG: a name is beyond its end' });
    }
    return bytes.toString('utf16le', rulesEnd + offset, rulesEnd + offset + length);
  };
  const sets = ReplSet.decodeArray(bytes.subarray(ReplConfig.size, setsEnd));
  const rules = ReplRule.decodeArray(bytes.subarray(setsEnd, rulesEnd));
  const { generation, streamId, stagingBytes, journalBytes, blockMs, durableWaitMs } = header;
  return {
    generation,
    streamId,
    stagingBytes,
    journalBytes,
    blockMs,
    durableWaitMs,
    sets: sets.map(({ setId, mode, rootOffset, rootLength }) => ({
      id: setId,
      mode: mode as ReplMode,
      root: name(rootOffset, rootLength),
    })),
    rules: rules.map(({ setId, kind, value, nameOffset, nameLength }) => ({
      setId,
      kind: kind as ReplRuleKind,
      value,
      name: name(nameOffset, nameLength),
    })),
  };
}
