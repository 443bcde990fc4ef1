/** The side of the new node when it joins a cluster. */
import { type KeyObject, X509Certificate } from 'node:crypto';
import { type TLSSocket, connect as connectTls } from 'node:tls';
import { ntsError } from '../common/errors.js';
import { Store } from '../common/store.js';
import { handshake, within } from './channel.js';
import { type Clock, systemClock } from './clock.js';
import { type NodeFile, NodeFolder, isKeyOf } from './identity.js';
import {
  JOIN_ANSWER_LIMIT,
  JOIN_SERVICE,
  joinAnswerSchema,
  transcriptOf,
} from './join-protocol.js';
import { newKey, publicKeyOf, signWith } from './keys.js';
import { verifyDocument } from './membership-document.js';
import { readMessage, writeMessage } from './message.js';
import { type Endpoint, formatEndpoint } from './names.js';
import { fingerprint, identityOf, requireValidAt } from './peer.js';
import { refusedBy } from './preamble.js';
import { type Token, parseToken, tokenId, tokenMac, tokenVerifier } from './token.js';

export interface JoinOptions {
  readonly token: string;
  readonly name: string;
  /** HOST:PORT by which the others will reach this node. */
  readonly address: string;
  readonly clock?: Clock;
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** Where a node is already, nothing may be made over it. */
export async function requireNoCluster(folder: NodeFolder): Promise<void> {
  if (!folder.exists) return;
  const { cluster, identity } = await folder.load();
  const facts = { folder: folder.state, cluster, node: identity.name };
  throw ntsError('NTS_ERR_CLUSTER_EXISTS', facts);
}

/**
 * The key is kept before it is used: when this is interrupted or the answer is lost, the same call again
 * asks with the same key and gets what the first one got.
 */
export async function joinCluster(
  state: string,
  to: Endpoint,
  options: JoinOptions,
): Promise<NodeFile> {
  const token = parseToken(options.token);
  const folder = new NodeFolder(state);
  const store = Store.open(state);
  try {
    const key = await store.exclusively(() => pendingKey(folder, token.cluster));
    const node = await ask(to, token, key, options);
    await store.exclusively(async () => {
      await requireNoCluster(folder);
      await folder.save(node);
      await folder.removePending();
    });
    return node;
  } finally {
    store.close();
  }
}

async function pendingKey(folder: NodeFolder, cluster: string): Promise<KeyObject> {
  await requireNoCluster(folder);
  await folder.tidy();
  const pending = await folder.loadPending(cluster);
  if (pending) return pending;
  const key = newKey();
  await folder.savePending(cluster, key);
  return key;
}

async function ask(
  to: Endpoint,
  token: Token,
  key: KeyObject,
  options: JoinOptions,
): Promise<NodeFile> {
  const { name, address, clock = systemClock } = options;
  const peer = formatEndpoint(to);
  const socket = connectTls({
    ...to,
    minVersion: 'TLSv1.3',
    ALPNProtocols: [JOIN_SERVICE],
    // The CA is not known yet but for its fingerprint: judged by requireCluster.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  return within(socket, peer, options, async () => {
    await handshake(socket, peer, JOIN_SERVICE);
    const ca = requireCluster(socket, token, peer, clock());
    const publicKey = publicKeyOf(key);
    const transcript = transcriptOf(socket, { name, address, publicKey });
    await writeMessage(socket, {
      join: 1,
      token: tokenId(token.secret).toString('base64'),
      mac: tokenMac(tokenVerifier(token.secret), transcript).toString('base64'),
      name,
      address,
      publicKey: publicKey.toString('base64'),
      proof: signWith(key, 'ntswift possession 1', transcript).toString('base64'),
      time: clock(),
    });
    const answer = await readMessage(socket, joinAnswerSchema, JOIN_ANSWER_LIMIT);
    socket.destroy();
    if ('refused' in answer) throw refusedBy(peer, answer);
    const { cluster, documents } = answer;
    const certificate = new X509Certificate(answer.certificate);
    const identity = identityOf(certificate, ca);
    if (identity.name !== name || !isKeyOf(key, certificate)) {
      const what = `${peer} gave a certificate for another node`;
      throw ntsError('NTS_ERR_PEER_PROTOCOL', { what });
    }
    requireValidAt(identity, clock(), 'the new certificate');
    for (const document of documents) verifyDocument(document, token.cluster, ca.publicKey);
    return { cluster, address, key, certificate, ca, documents };
  });
}

/** The CA that the token names, having issued the certificate of the other side. Nothing was said to it yet. */
function requireCluster(
  socket: TLSSocket,
  { cluster }: Token,
  peer: string,
  now: number,
): X509Certificate {
  const shown = socket.getPeerCertificate(true);
  const leaf = socket.getPeerX509Certificate();
  // One further certificate, not a chain as long as the other side likes.
  const issuer = shown.issuerCertificate as { raw?: Buffer } | undefined;
  const ca = issuer?.raw ? new X509Certificate(issuer.raw) : null;
  if (!leaf || !ca || fingerprint(ca) !== cluster) {
    const what = `${peer} is not of the cluster that the token is for`;
    throw ntsError('NTS_ERR_WRONG_CLUSTER', { what });
  }
  requireValidAt(identityOf(leaf, ca), now, `the certificate of ${peer}`);
  return ca;
}
