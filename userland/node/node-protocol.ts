/**
 * The service that every node offers to the others: the list of nodes goes both ways, certificates are
 * renewed, a new address is made known, and each tells how it is. Requests and answers alternate.
 */
import { z } from 'zod';
import { base64Schema } from './join-protocol.js';
import { MAX_DOCUMENTS_BYTES, signedListSchema } from './membership-document.js';
import { endpointSchema } from './names.js';
import { refusalSchema } from './preamble.js';

export const NODE_SERVICE = 'ntswift-node/1';

/** Documents are JSON in JSON, hence quoted. */
export const NODE_MESSAGE_LIMIT = 2 * MAX_DOCUMENTS_BYTES;

export const requestSchema = z.discriminatedUnion('ask', [
  z.strictObject({ ask: z.literal('exchange'), documents: signedListSchema }),
  z.strictObject({ ask: z.literal('renew'), publicKey: base64Schema, proof: base64Schema }),
  z.strictObject({ ask: z.literal('address'), address: endpointSchema }),
  z.strictObject({ ask: z.literal('status') }),
]);
export type Request = z.infer<typeof requestSchema>;

export const documentsSchema = z.strictObject({ documents: signedListSchema.min(1) });

export const certificateSchema = z.strictObject({ certificate: z.string().max(20_000) });

/** Shown on terminals. */
const words = z.string().regex(/^[^\p{Cc}]{0,1000}$/u);

export const statusSchema = z.strictObject({
  version: words,
  /** Milliseconds since 1970. */
  started: z.int().nonnegative(),
  time: z.int().nonnegative(),
  /** When its certificate expires. */
  expires: z.int().nonnegative(),
  authority: z.boolean(),
  listVersion: z.int().positive(),
  services: z
    .array(
      z.strictObject({
        name: words,
        state: z.enum(['starting', 'running', 'waiting', 'stopped']),
        restarts: z.int().nonnegative(),
        lastError: words.nullable(),
      }),
    )
    .max(100),
});
export type PeerStatus = z.infer<typeof statusSchema>;

export function answerOf<T>(schema: z.ZodType<T>): z.ZodType<T | z.infer<typeof refusalSchema>> {
  return z.union([schema, refusalSchema]);
}
