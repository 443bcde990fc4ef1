/**
 * Messages between nodes: four bytes of length, big endian, then that many bytes of JSON.
 *
 * The reader says how long a message may be and what it must look like. Nothing is kept of a message whose
 * length is beyond the limit, and no byte beyond the message is taken from the stream, so that a service
 * can read on with its own protocol.
 */
import type { Duplex } from 'node:stream';
import type { z } from 'zod';
import { isNtsError, messageOf, ntsError } from '../common/errors.js';

const HEADER = 4;

/** What ends the waiting: the stream's end, an error, or whoever destroys the stream. */
export async function readMessage<T>(
  stream: Duplex,
  schema: z.ZodType<T>,
  limit: number,
): Promise<T> {
  const length = (await readExactly(stream, HEADER)).readUInt32BE();
  if (length > limit) {
    const what = `a message of ${length} bytes came where ${limit} are allowed`;
    throw ntsError('NTS_ERR_PEER_PROTOCOL', { what });
  }
  const text = (await readExactly(stream, length)).toString('utf8');
  let parsed;
  try {
    parsed = schema.safeParse(JSON.parse(text));
  } catch (error) {
    throw ntsError('NTS_ERR_PEER_PROTOCOL', { what: 'a message is no JSON' }, { cause: error });
  }
  if (!parsed.success) {
    const { path = [], message = '' } = parsed.error.issues[0] ?? {};
    const what = `a message is not as expected: ${path.join('.')} ${message}`;
    throw ntsError('NTS_ERR_PEER_PROTOCOL', { what });
  }
  return parsed.data;
}

export function encodeMessage(value: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(value));
  const header = Buffer.alloc(HEADER);
  header.writeUInt32BE(text.length);
  return Buffer.concat([header, text]);
}

/** Waits where the other side does not read. */
export async function writeMessage(stream: Duplex, value: unknown): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(encodeMessage(value), (error) => (error ? reject(error) : resolve()));
  }).catch((error: unknown) => {
    throw gone(error);
  });
}

/** One listener for all the waiting: each new one would be told of the bytes that are too few, at once. */
function readExactly(stream: Duplex, length: number): Promise<Buffer> {
  if (length === 0) return Promise.resolve(Buffer.alloc(0));
  return new Promise((resolve, reject) => {
    const names = ['readable', 'end', 'close'] as const;
    const stop = (): void => {
      for (const name of names) stream.off(name, attempt);
      stream.off('error', failed);
    };
    const failed = (error: unknown): void => {
      stop();
      reject(gone(error));
    };
    const attempt = (): void => {
      const bytes = stream.read(length) as Buffer | null;
      if (bytes?.length === length) {
        stop();
        resolve(bytes);
      } else if (bytes !== null || stream.readableEnded || stream.destroyed) {
        // At its end a stream gives what there is, however much was asked for.
        failed(stream.errored);
      }
    };
    for (const name of names) stream.on(name, attempt);
    stream.on('error', failed);
    attempt();
  });
}

function gone(error: unknown): Error {
  if (isNtsError(error)) return error;
  const why = error ? `: ${messageOf(error)}` : '';
  const what = `the other node closed the connection in the middle of a message${why}`;
  return ntsError('NTS_ERR_PEER_UNREACHABLE', { what }, { cause: error });
}
