/**
 * How a new node gets its certificate: over TLS 1.3, without a certificate of its own, and only after it has
 * found the CA of its token behind the certificate of the other side.
 *
 * It shows the token's secret and proves that it has the key that is to be certified, by signing a value
 * that both ends derive from this very connection (RFC 5705, RFC 8446 7.5). So neither the request nor the
 * proof is of use on another connection.
 */
import type { TLSSocket } from 'node:tls';
import { z } from 'zod';
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
  secret: base64Schema,
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

/** What the proof of possession signs: both ends of one connection know it, and nobody else. */
export function bindingOf(socket: TLSSocket): Buffer {
  return socket.exportKeyingMaterial(32, 'EXPORTER-ntswift-possession', Buffer.alloc(0));
}
