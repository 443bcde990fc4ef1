/** The side of the cluster when a node joins. */
import type { TLSSocket } from 'node:tls';
import { ntsError } from '../common/errors.js';
import { Authority } from './authority.js';
import { CLOCK_TOLERANCE } from './clock.js';
import {
  JOIN_REQUEST_LIMIT,
  JOIN_SERVICE,
  joinRequestSchema,
  transcriptOf,
} from './join-protocol.js';
import { isSignedBy, parsePublicKey } from './keys.js';
import type { NodeListener } from './listener.js';
import type { LocalNode } from './local-node.js';
import { type Log, silentLog } from './log.js';
import { readMessage, writeMessage } from './message.js';

/** A SubjectPublicKeyInfo on P-256, as node:crypto writes it. */
const MAX_PUBLIC_KEY = 200;

export function serveJoin(listener: NodeListener, local: LocalNode, log: Log = silentLog): void {
  listener.registerForStrangers(JOIN_SERVICE, (socket) => join(socket, local, log));
}

async function join(socket: TLSSocket, local: LocalNode, log: Log): Promise<void> {
  const request = await readMessage(socket, joinRequestSchema, JOIN_REQUEST_LIMIT);
  const { name, address } = request;
  const publicKey = Buffer.from(request.publicKey, 'base64');
  if (publicKey.length > MAX_PUBLIC_KEY) {
    throw ntsError('NTS_ERR_PEER_PROTOCOL', { what: 'the public key is too long' });
  }
  const transcript = transcriptOf(socket, { name, address, publicKey });
  const proof = Buffer.from(request.proof, 'base64');
  const key = parsePublicKey(publicKey);
  if (!isSignedBy(key, 'ntswift possession 1', transcript, proof)) {
    const what = 'the joining node does not have the key that it wants a certificate for';
    throw ntsError('NTS_ERR_PEER_PROTOCOL', { what });
  }
  requireSameTime(request.time, local.clock());
  const authority = await Authority.of(local, 'admitting a node');
  const token = Buffer.from(request.token, 'base64');
  const mac = Buffer.from(request.mac, 'base64');
  const certificate = await authority.admit({ token, mac, transcript, publicKey, name, address });
  log.info({ peer: name, address, serial: certificate.serialNumber }, 'a node has joined');
  await writeMessage(socket, {
    joined: 1,
    cluster: local.cluster.name,
    certificate: certificate.toString(),
    documents: local.membership.signed,
    time: local.clock(),
  });
}

/** The new certificate would not hold yet, or tokens and certificates would be judged wrongly. */
function requireSameTime(theirs: number, ours: number): void {
  const seconds = Math.round(Math.abs(theirs - ours) / 1000);
  if (seconds * 1000 <= CLOCK_TOLERANCE) return;
  const [there, here] = [theirs, ours].map((time) => new Date(time).toISOString());
  const what = `the clocks differ by ${seconds} s: ${there} on the joining node, ${here} on this one; set them right`;
  throw ntsError('NTS_ERR_CLOCK_SKEW', { what });
}
