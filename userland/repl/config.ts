/**
 * What this node replicates and what it keeps for others: repl.json in the state folder, written whole or
 * not at all. The driver gets what concerns it at every start of the service.
 */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { writeAtomically } from '../common/atomic-file.js';
import { messageOf, ntsError } from '../common/errors.js';
import { ReplMode, ReplRuleKind } from './codec.js';
import type { DriverConfig } from './driver-config.js';
import { modes, ruleSchema, setNameSchema, sharedSetSchema } from './set-schema.js';

const FILE = 'repl.json';

const setSchema = z.strictObject({
  id: z.int().min(1).max(0xffff_fffe),
  name: setNameSchema,
  /** The folder as this machine's programs name it. */
  folder: z.string().min(1),
  /** The same as an NT path. */
  root: z.string().min(1),
  mode: z.enum(modes),
  rules: z.array(ruleSchema),
});
export type SetConfig = z.infer<typeof setSchema>;
export const setsSchema = z.array(setSchema);

const backupSchema = z.strictObject({
  node: z.string().min(1),
  /** On that node: one folder in it for each set. */
  folder: z.string().min(1),
  /** Bytes a second; null: as fast as the link is. */
  limit: z.int().positive().nullable(),
  paused: z.boolean(),
});
export type BackupConfig = z.infer<typeof backupSchema>;

const hostedSchema = z.strictObject({
  stream: z.string().regex(/^[0-9a-f]{32}$/),
  /** The node that the records come from. */
  primary: z.string().min(1),
  folder: z.string().min(1),
  sets: z.array(sharedSetSchema),
  /** The log is kept until it is longer than that. */
  keepBytes: z.int().positive(),
});
export type Hosted = z.infer<typeof hostedSchema>;

export const configSchema = z.strictObject({
  version: z.literal(1),
  stream: z.string().regex(/^[0-9a-f]{32}$/),
  role: z.enum(['none', 'primary', 'backup']),
  epoch: z.int().nonnegative(),
  /** Where the stream goes on when this node takes the role with this epoch. */
  sequence: z.int().nonnegative(),
  ringBytes: z.int().positive(),
  journalBytes: z.int().nonnegative(),
  stagingBytes: z.int().positive(),
  /** 0: a durable flush waits for ever. */
  durableWaitMs: z.int().nonnegative(),
  nextSetId: z.int().positive(),
  sets: setsSchema,
  backups: z.array(backupSchema),
  /** Another node has become primary: it is to be asked to have this one as a backup, in that folder. */
  rejoin: z.strictObject({ node: z.string().min(1), folder: z.string().min(1) }).nullish(),
  /** The epoch of a switchover in which this node gave everything away: the other one has all of it. */
  handedOver: z.int().nonnegative().nullish(),
  hosted: z.array(hostedSchema),
});
export type ReplNodeConfig = z.infer<typeof configSchema>;

export const DEFAULT_KEEP_BYTES = 4 * 2 ** 30;

export function emptyConfig(): ReplNodeConfig {
  return {
    version: 1,
    stream: randomBytes(16).toString('hex'),
    role: 'none',
    epoch: 0,
    sequence: 0,
    ringBytes: 32 << 20,
    journalBytes: 1 << 30,
    stagingBytes: 16 << 20,
    durableWaitMs: 0,
    nextSetId: 1,
    sets: [],
    backups: [],
    hosted: [],
  };
}

/** The file of one node. Only its service changes it. */
export class ConfigFile {
  private updating: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly file: string,
    private current: ReplNodeConfig,
  ) {}

  static async open(state: string): Promise<ConfigFile> {
    const file = path.join(state, FILE);
    let text;
    try {
      text = await readFile(file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        return new ConfigFile(file, emptyConfig());
      }
      throw ntsError('NTS_ERR_FILE_READ', { file, why: messageOf(error) }, { cause: error });
    }
    try {
      return new ConfigFile(file, configSchema.parse(JSON.parse(text)));
    } catch (error) {
      const why = `it is not what this program writes: ${messageOf(error)}`;
      throw ntsError('NTS_ERR_FILE_READ', { file, why }, { cause: error });
    }
  }

  get value(): ReplNodeConfig {
    return this.current;
  }

  /** On disk when it resolves; a configuration that is not valid changes nothing. */
  update(change: Partial<ReplNodeConfig>): Promise<ReplNodeConfig> {
    // One after the other: each begins with what the one before has written.
    const updated = this.updating.then(() => this.write(change));
    this.updating = updated.catch(() => undefined);
    return updated;
  }

  private async write(change: Partial<ReplNodeConfig>): Promise<ReplNodeConfig> {
    const next = configSchema.parse({ ...this.current, ...change });
    await writeAtomically(this.file, (handle) => handle.writeFile(JSON.stringify(next, null, 2)));
    return (this.current = next);
  }
}

export function setNamed(config: ReplNodeConfig, name: string): SetConfig {
  const set = config.sets.find((one) => one.name === name);
  if (set) return set;
  const known = config.sets.map((one) => one.name).join(', ') || 'none';
  throw ntsError('NTS_ERR_USAGE', { what: `no set is called "${name}"; there is ${known}` });
}

/** What the driver is told. */
export function driverConfig(config: ReplNodeConfig, generation: bigint): DriverConfig {
  const sets = config.role === 'none' ? [] : config.sets;
  return {
    generation,
    streamId: Buffer.from(config.stream, 'hex'),
    stagingBytes: config.stagingBytes,
    journalBytes: BigInt(config.journalBytes),
    blockMs: 0,
    durableWaitMs: config.durableWaitMs,
    sets: sets.map(({ id, mode, root }) => ({ id, mode: ReplMode[mode], root })),
    rules: sets.flatMap(({ id, rules }) =>
      rules.map((rule) => ({
        setId: id,
        kind: ReplRuleKind[rule.kind],
        value: rule.kind === 'maxSize' ? BigInt(rule.bytes) : 0n,
        name: rule.kind === 'maxSize' ? '' : rule.pattern,
      })),
    ),
  };
}
