/**
 * How a new node gets its certificate: over TLS 1.3, without a certificate of its own, and only after it has
 * found the CA of its token behind the certificate of the other side.
 *
 * It proves to have the token by a MAC, and the key that is to be certified by a signature. Both are over
 * the request and a value that the two ends derive from this very connection (RFC 5705, RFC 8446 7.5), so
 * neither is of use on another connection or for another request.
 */
import type { TLSSocket } from 'node:tls';
import { z } from 'zod';
import { sha256 } from './keys.js';
import { MAX_DOCUMENTS_BYTES, signedListSchema } from './membership-document.js';
import { endpointSchema, nodeNameSchema } from './names.js';
import { refusalSchema } from './preamble.js';

export const JOIN_SERVICE = 'ntswift-join/1';

export const JOIN_REQUEST_LIMIT = 4096;
/** Documents are JSON in JSON, hence quoted. */
export const JOIN_ANSWER_LIMIT = 2 * MAX_DOCUMENTS_BYTES;

export const base64Schema = z
  .string()
  .max(1000)
  .regex(/^[A-Za-z0-9+/]+={0,2}$/);

export const joinRequestSchema = z.strictObject({
  join: z.literal(1),
  /** tokenId of the token. */
  token: base64Schema,
  /** Keyed by the token. */
  mac: base64Schema,
  name: nodeNameSchema,
  address: endpointSchema,
  /** SubjectPublicKeyInfo. */
  publicKey: base64Schema,
  proof: base64Schema,
  time: z.int().nonnegative(),
});

export const joinAnswerSchema = z.union([
  z.strictObject({
    joined: z.literal(1),
    cluster: nodeNameSchema,
    certificate: z.string().max(20_000),
    documents: signedListSchema.min(1),
    time: z.int().nonnegative(),
  }),
  refusalSchema,
]);

/** What the MAC and the proof are over. Both ends of one connection know it, and nobody else. */
export function transcriptOf(
  socket: TLSSocket,
  request: { readonly name: string; readonly address: string; readonly publicKey: Buffer },
): Buffer {
  const binding = socket.exportKeyingMaterial(32, 'EXPORTER-ntswift-join', Buffer.alloc(0));
  const parts = [binding, request.publicKey, request.name, request.address];
  return Buffer.concat(parts.map((part) => sha256(part)));
}
