/**
 * Records are sent deflated (RFC 1951) where it pays: small ones, which are names and metadata and repeat each
 * other, and all of them where the bandwidth is limited. What does not shrink goes as it is.
 */
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { messageOf, ntsError } from '../common/errors.js';
import { type Frame, FrameKind } from './protocol.js';

/** Of less, nothing is gained. */
const LEAST_BYTES = 512;
/** What is sent at once is shorter than that. */
const MOST_BYTES = 4 << 20;
/** Bytes of a record, on average. */
const SMALL_BYTES = 1024;
/** Bytes that are left of a hundred, at most. */
const WORTH_PERCENT = 80;

const HEADER = 4;

/** Records as a frame, deflated or not. A deflated payload begins with the length of the records, little endian. */
export function packRecords(bytes: Buffer, count: number, isLimited: boolean): Frame {
  const plain = { kind: FrameKind.records, bytes };
  const isSmall = bytes.length < count * SMALL_BYTES;
  if (bytes.length < LEAST_BYTES || bytes.length > MOST_BYTES || !(isSmall || isLimited)) {
    return plain;
  }
  const deflated = deflateRawSync(bytes, { level: constants.Z_BEST_SPEED });
  if (100 * deflated.length > WORTH_PERCENT * bytes.length) return plain;
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(bytes.length);
  return { kind: FrameKind.deflated, bytes: Buffer.concat([header, deflated]) };
}

/** The records of a deflated frame. */
export function unpackRecords(payload: Buffer): Buffer {
  const length = payload.length < HEADER ? 0 : payload.readUInt32LE();
  if (length < LEAST_BYTES || length > MOST_BYTES) {
    throw malformed(`it is of ${length} bytes of records`);
  }
  let bytes;
  try {
    bytes = inflateRawSync(payload.subarray(HEADER), { maxOutputLength: length });
  } catch (error) {
    throw malformed(messageOf(error), error);
  }
  if (bytes.length === length) return bytes;
  throw malformed(`it has ${bytes.length} bytes, and says that it has ${length}`);
}

function malformed(why: string, cause?: unknown): Error {
  return ntsError('NTS_ERR_PEER_PROTOCOL', { what: `a deflated frame: ${why}` }, { cause });
}
