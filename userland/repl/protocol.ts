/**
 * What pump and backup say to each other on a channel of service ntswift-repl/1.
 *
 * The first message of a channel (node/message.ts) says what it is for. "push" is answered by what the
 * backup has on disk; from there on both sides send frames: four bytes of length, little endian, four of
 * the kind, and the payload: records as they came from the driver, deflated or not, or JSON. Acknowledgements and answers
 * come in between, in any order.
 *
 * "control" is one request and one answer, with progress messages before it.
 */
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import { isNtsError, messageOf, ntsError } from '../common/errors.js';
import type { Buffers } from './buffers.js';
import { ReplBracketReason } from './codec.js';
import { sharedSetSchema } from './set-schema.js';

export const REPL_SERVICE = 'ntswift-repl/1';

export const REPL_MESSAGE_LIMIT = 1 << 20;

/** Deflated: compression.ts. */
export const FrameKind = { records: 1, json: 2, deflated: 3 } as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** As long as a ring can be. */
const FRAME_LIMIT = 1 << 30;

const HEADER = 8;

const kinds: ReadonlySet<number> = new Set(Object.values(FrameKind));

function isKind(kind: number): kind is FrameKind {
  return kinds.has(kind);
}

export interface Frame {
  readonly kind: FrameKind;
  readonly bytes: Buffer;
}

/** Where payloads are; who takes a frame, and does not throw, gives its payload back. */
export type Memory = Pick<Buffers, 'take' | 'give'>;

const ordinary: Memory = { take: (length) => Buffer.allocUnsafe(length), give: () => undefined };

/**
 * Gives each frame that comes to `take`. Rejects when the stream ends, or with what `take` throws. Where
 * the stream is paused, frames of which all has come may still be given.
 */
export function readFrames(
  stream: Duplex,
  take: (frame: Frame) => void,
  memory: Memory = ordinary,
): Promise<never> {
  const parser = new FrameParser(take, memory);
  return new Promise((_, reject) => {
    const failed = (error: Error): void => {
      stream.off('data', data).off('end', over).off('close', over).off('error', over);
      stream.pause();
      parser.end();
      reject(error);
    };
    const over = (): void => failed(gone(stream.errored));
    const data = (chunk: Buffer): void => {
      try {
        parser.feed(chunk);
      } catch (error) {
        failed(error as Error);
      }
    };
    stream.on('data', data).on('end', over).on('close', over).on('error', over);
    if (stream.destroyed || stream.readableEnded) over();
    else stream.resume();
  });
}

/** Payloads are put together as they come: to collect pieces first would be one more copy, and garbage. */
class FrameParser {
  private readonly header = Buffer.alloc(HEADER);
  private headerBytes = 0;
  private kind: FrameKind = FrameKind.json;
  private payload: Buffer | null = null;
  private payloadBytes = 0;

  constructor(
    private readonly take: (frame: Frame) => void,
    private readonly memory: Memory,
  ) {}

  feed(chunk: Buffer): void {
    for (let at = 0; ;) {
      if (!this.payload) {
        const part = chunk.copy(this.header, this.headerBytes, at);
        this.headerBytes += part;
        at += part;
        if (this.headerBytes < HEADER) return;
        this.begin();
      }
      const { payload } = this;
      const part = chunk.copy(payload!, this.payloadBytes, at);
      this.payloadBytes += part;
      at += part;
      if (this.payloadBytes < payload!.length) return;
      this.take({ kind: this.kind, bytes: payload! });
      this.payload = null;
      this.payloadBytes = 0;
    }
  }

  end(): void {
    if (this.payload) this.memory.give(this.payload);
    this.payload = null;
  }

  private begin(): void {
    const length = this.header.readUInt32LE(0);
    const kind = this.header.readUInt32LE(4);
    if (length > FRAME_LIMIT || !isKind(kind)) {
      const what = `a frame of kind ${kind} and ${length} bytes came`;
      throw ntsError('NTS_ERR_PEER_PROTOCOL', { what });
    }
    this.kind = kind;
    this.headerBytes = 0;
    this.payload = this.memory.take(length);
    this.payloadBytes = 0;
  }
}

/** Resolves when the stream takes more. The bytes must stay as they are until the other side has them. */
export async function writeFrame(stream: Duplex, kind: FrameKind, bytes: Buffer): Promise<void> {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(bytes.length, 0);
  header.writeUInt32LE(kind, 4);
  stream.cork();
  stream.write(header);
  const more = stream.write(bytes);
  stream.uncork();
  if (!more) await drained(stream);
}

export function encodeJson(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

export function decodeJson<T>(bytes: Buffer, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw ntsError('NTS_ERR_PEER_PROTOCOL', { what: 'a frame is no JSON' }, { cause: error });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const { path = [], message = '' } = parsed.error.issues[0] ?? {};
  const what = `a frame is not as expected: ${path.join('.')} ${message}`;
  throw ntsError('NTS_ERR_PEER_PROTOCOL', { what });
}

function drained(stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    const clear = (): void => {
      stream.off('drain', done).off('close', closed).off('error', closed);
    };
    const done = (): void => {
      clear();
      resolve();
    };
    const closed = (): void => {
      clear();
      reject(gone(stream.errored));
    };
    if (stream.destroyed) reject(gone(stream.errored));
    else stream.on('drain', done).on('close', closed).on('error', closed);
  });
}

export function gone(error: unknown): Error {
  if (isNtsError(error)) return error;
  const why = error ? `: ${messageOf(error)}` : '';
  const what = `the other node closed the connection${why}`;
  return ntsError('NTS_ERR_PEER_UNREACHABLE', { what }, { cause: error });
}

const sequenceSchema = z.int().nonnegative();
const setIdSchema = z.int().min(1).max(0xffff_fffe);
const hex16 = z.string().regex(/^[0-9a-f]{32}$/);
const pathSchema = z.string().min(1).max(4096);
/** Shown on terminals. */
const words = z.string().regex(/^[^\p{Cc}]{0,2000}$/u);

export const pushSchema = z.strictObject({
  ask: z.literal('push'),
  stream: hex16,
  epoch: z.int().positive(),
  /** Where the backup keeps the sets: one folder in it for each. */
  folder: pathSchema,
  sets: z.array(sharedSetSchema).max(64),
});
export type Push = z.infer<typeof pushSchema>;

export const controlSchema = z.strictObject({
  ask: z.literal('control'),
  command: z.string().max(32),
  arguments: z.record(z.string().max(32), z.unknown()),
});
export type Control = z.infer<typeof controlSchema>;

export const askSchema = z.discriminatedUnion('ask', [pushSchema, controlSchema]);

export const refusedSchema = z.strictObject({ refused: z.string().max(64), why: words });

export const pushAnswerSchema = z.union([
  z.strictObject({
    /** All up to here is on disk. */
    durable: sequenceSchema,
    applied: sequenceSchema,
    /** The last point up to `durable` that no open bracket covers. */
    consistent: sequenceSchema,
    /** The highest epoch it has seen. */
    epoch: sequenceSchema,
    /** It has never had anything of the stream. */
    fresh: z.boolean(),
    /** Brackets that are open where its log ends. */
    open: z.array(
      z.strictObject({
        sequence: sequenceSchema,
        setId: z.int().nonnegative(),
        reason: z.enum(ReplBracketReason),
      }),
    ),
  }),
  refusedSchema,
]);

/** Pump to backup, beside records. */
const fileSchema = z.union([
  z.strictObject({ set: setIdSchema, file: hex16 }),
  /** By path below the set's root. */
  z.strictObject({ set: setIdSchema, path: z.string().max(32_767) }),
]);
export type FileName = z.infer<typeof fileSchema>;

export const requestSchema = z.discriminatedUnion('ask', [
  z.strictObject({
    ask: z.literal('files'),
    id: sequenceSchema,
    files: z.array(fileSchema).max(4096),
  }),
  z.strictObject({
    ask: z.literal('hash'),
    id: sequenceSchema,
    file: fileSchema,
    /** Where hashed ranges begin; each has `length` bytes, in blocks of `block`. */
    offsets: z.array(sequenceSchema).max(4096),
    length: z
      .int()
      .min(1)
      .max(16 << 20),
    block: z
      .int()
      .min(4096)
      .max(1 << 20),
  }),
  z.strictObject({
    ask: z.literal('names'),
    id: sequenceSchema,
    set: setIdSchema,
    path: z.string().max(32_767),
  }),
  z.strictObject({ ask: z.literal('checkpoint'), id: sequenceSchema }),
]);
export type BackupRequest = z.infer<typeof requestSchema>;

/** What a backup knows of a file; null: it has none with that FileId. */
export const knownSchema = z
  .strictObject({
    size: sequenceSchema,
    folder: z.boolean(),
    /** FILETIME. */
    write: z.string().regex(/^\d{1,20}$/),
    change: z.string().regex(/^\d{1,20}$/),
  })
  .nullable();
export type Known = z.infer<typeof knownSchema>;

const differenceSchema = z.strictObject({
  sequence: sequenceSchema,
  setId: z.int().nonnegative(),
  path: z.string().max(32_767),
  blocks: z.array(z.strictObject({ offset: sequenceSchema, length: sequenceSchema })),
});
export type BlockDifference = z.infer<typeof differenceSchema>;

/** Backup to pump. */
export const replySchema = z.union([
  z.strictObject({
    durable: sequenceSchema,
    applied: sequenceSchema,
    /** The last point up to `durable` that no open bracket covers. */
    consistent: sequenceSchema,
    /** Why nothing is written, or applied, just now; null: all is well. */
    stalled: words.nullable(),
    fault: words.nullable(),
  }),
  z.strictObject({ id: sequenceSchema, files: z.array(knownSchema) }),
  /** Hashes of all ranges, one behind the other, in base64; null: there is no such file. */
  z.strictObject({ id: sequenceSchema, hashes: z.string().nullable() }),
  /** Names in a folder; null: there is no such folder. */
  z.strictObject({ id: sequenceSchema, names: z.array(z.string()).nullable() }),
  z.strictObject({ id: sequenceSchema, applied: sequenceSchema }),
  z.strictObject({ id: sequenceSchema, failed: words }),
  z.strictObject({ difference: differenceSchema }),
  refusedSchema,
]);
export type Reply = z.infer<typeof replySchema>;

/** Bytes of a hash on the wire. */
export const HASH_BYTES = 16;

/** For terminals and logs of others. */
export function plainWords(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').slice(0, 2000);
}
