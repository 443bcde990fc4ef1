/**
 * What two nodes say to each other on a new connection before a service has it: hello, and welcome or a
 * refusal with its reason. And how a peer's certificate is judged, the same on both sides.
 */
import type { TLSSocket } from 'node:tls';
import { z } from 'zod';
import { type NtsError, ntsError } from '../common/errors.js';
import type { LocalNode } from './local-node.js';
import { type Identity, identityOf, requireValidAt } from './peer.js';

export const PREAMBLE_LIMIT = 4096;

const timeSchema = z.int().nonnegative();
const digestSchema = z.string().regex(/^[0-9a-f]{64}$/);

export const helloSchema = z.strictObject({
  hello: z.literal(1),
  time: timeSchema,
  /** Of the list of nodes. */
  digest: digestSchema,
});

const refusals = [
  'NTS_ERR_NOT_A_MEMBER',
  'NTS_ERR_WRONG_CLUSTER',
  'NTS_ERR_CERTIFICATE_EXPIRED',
  'NTS_ERR_NODE_REVOKED',
  'NTS_ERR_CLOCK_SKEW',
  'NTS_ERR_PEER_REFUSED',
  'NTS_ERR_PEER_PROTOCOL',
  'NTS_ERR_NO_AUTHORITY',
  'NTS_ERR_TOKEN_UNKNOWN',
  'NTS_ERR_TOKEN_USED',
  'NTS_ERR_TOKEN_EXPIRED',
  'NTS_ERR_NAME_TAKEN',
  'NTS_ERR_UNKNOWN_NODE',
] as const;
type Refusal = (typeof refusals)[number];

export const refusalSchema = z.strictObject({
  refused: z.enum(refusals),
  /** It is shown on terminals. */
  why: z.string().regex(/^[^\p{Cc}]{0,1000}$/u),
  time: timeSchema,
});

export const welcomeSchema = z.union([
  z.strictObject({ welcome: z.literal(1), time: timeSchema, digest: digestSchema }),
  refusalSchema,
]);

/** What a peer is told of an error: of a fault of ours no more than that there was one. */
export function refusalOf(error: unknown, time: number): z.infer<typeof refusalSchema> {
  const { code, message } = error as Partial<NtsError>;
  const refused = refusals.find((one) => one === code);
  const why = (message ?? '').replace(/\p{Cc}+/gu, ' ').slice(0, 1000);
  return refused
    ? { refused, why, time }
    : { refused: 'NTS_ERR_PEER_REFUSED', why: 'it could not answer; its log says why', time };
}

/** The refusal of another node as our error. `peer`: "node b" or an address. */
export function refusedBy(
  peer: string,
  { refused, why, time }: z.infer<typeof refusalSchema>,
): NtsError {
  const code: Refusal = refused;
  return ntsError(code, { what: `${peer} refuses: ${why}` }, { facts: { peer, peerTime: time } });
}

/**
 * Who is at the other end. Throws where that is no member of this cluster, whose certificate holds now, and
 * who was not removed.
 */
export function requireMember(socket: TLSSocket, local: LocalNode, whose: string): Identity {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) {
    const what = `${whose} is missing; only members of the cluster may connect`;
    throw ntsError('NTS_ERR_NOT_A_MEMBER', { what });
  }
  const identity = identityOf(certificate, local.ca);
  const node = `${whose} (node ${identity.name})`;
  requireValidAt(identity, local.clock(), node);
  if (local.membership.isRemoved(identity.id)) {
    const what = `node ${identity.name} was removed from the cluster`;
    throw ntsError('NTS_ERR_NODE_REVOKED', { what });
  }
  // OpenSSL's own judgement, by the machine's clock; nothing that it refuses is let in.
  if (!socket.authorized) {
    const what = `${node} is not valid (${String(socket.authorizationError)})`;
    throw ntsError('NTS_ERR_NOT_A_MEMBER', { what });
  }
  return identity;
}
