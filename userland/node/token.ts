/**
 * Join tokens: what a new node shows to get its certificate, and how it knows the cluster that gives it.
 *
 * "ntsj1." and, in base64url, the SHA-256 of the CA's certificate, 32 random bytes, and 4 bytes of a
 * checksum that finds tokens cut or mistyped.
 *
 * The random bytes never leave the two ends, nor does the cluster keep them. It keeps two hashes: one by
 * which a joining node names its token, and one that keys the MAC by which it proves to have it, over what
 * belongs to one connection. A node that only poses as the holder of the CA's key, such as one that was
 * removed, learns nothing that it could use. SHA-256 is enough of a hash, since nobody can guess the bytes.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { ntsError } from '../common/errors.js';
import { sha256 } from './keys.js';

const PREFIX = 'ntsj1.';
const HASH = 32;
const SECRET = 32;
const CHECK = 4;

export interface Token {
  /** In hexadecimal, of the CA's certificate. */
  readonly cluster: string;
  readonly secret: Buffer;
}

export function newSecret(): Buffer {
  return randomBytes(SECRET);
}

function hash(label: string, secret: Buffer): Buffer {
  return sha256(Buffer.concat([Buffer.from(`ntswift join token ${label}\0`), secret]));
}

/** By which the token is named. */
export function tokenId(secret: Buffer): Buffer {
  return hash('id', secret);
}

/** What the MAC is keyed by. */
export function tokenVerifier(secret: Buffer): Buffer {
  return hash('verifier', secret);
}

export function tokenMac(verifier: Buffer, transcript: Buffer): Buffer {
  return createHmac('sha256', verifier).update(transcript).digest();
}

export function isTokenMac(verifier: Buffer, transcript: Buffer, mac: Buffer): boolean {
  const right = tokenMac(verifier, transcript);
  return mac.length === right.length && timingSafeEqual(mac, right);
}

export function formatToken({ cluster, secret }: Token): string {
  const body = Buffer.concat([Buffer.from(cluster, 'hex'), secret]);
  return PREFIX + Buffer.concat([body, checksum(body)]).toString('base64url');
}

export function parseToken(text: string): Token {
  const bytes = Buffer.from(text.trim().slice(PREFIX.length), 'base64url');
  const body = bytes.subarray(0, HASH + SECRET);
  const whole =
    text.trim().startsWith(PREFIX) &&
    bytes.length === HASH + SECRET + CHECK &&
    checksum(body).equals(bytes.subarray(-CHECK));
  if (!whole) {
    const what = 'this is no join token, or not a whole one; "ntswift cluster token" prints one';
    throw ntsError('NTS_ERR_USAGE', { what });
  }
  return {
    cluster: body.subarray(0, HASH).toString('hex'),
    secret: Buffer.from(body.subarray(HASH)),
  };
}

function checksum(body: Buffer): Buffer {
  return sha256(Buffer.concat([Buffer.from(PREFIX), body])).subarray(0, CHECK);
}
