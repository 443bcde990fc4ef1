/**
 * What the CA's key is needed for: admitting nodes, renewing their certificates, removing them.
 *
 * A token admits one node. Who it admitted is committed in one transaction with the new list of nodes, before
 * the node is told; when it asks again with the same key, because it did not hear the answer or has crashed
 * since, it gets the same certificate again. Another key gets nothing.
 */
import { X509Certificate } from 'node:crypto';
import { ntsError } from '../common/errors.js';
import { createNodeCertificate, newNodeId } from './certificate.js';
import { DAY, type Clock } from './clock.js';
import type { CaFile } from './identity.js';
import type { LocalNode } from './local-node.js';
import type { NodeEntry } from './membership-document.js';
import { fingerprint } from './peer.js';
import { formatToken, isTokenMac, newSecret, tokenId, tokenVerifier } from './token.js';

/** For so long a node that did not hear the answer may ask again. */
const REMEMBERED = 30 * DAY;

function idOf(certificate: X509Certificate): string {
  return certificate.serialNumber.slice(0, 16).toLowerCase();
}

export interface JoinRequest {
  /** tokenId of the token. */
  readonly token: Buffer;
  /** tokenMac over the transcript. */
  readonly mac: Buffer;
  readonly transcript: Buffer;
  /** SubjectPublicKeyInfo; that the node has the private key was checked. */
  readonly publicKey: Buffer;
  readonly name: string;
  readonly address: string;
}

interface TokenRow {
  verifier: Buffer;
  expires_at: number;
  used_by: Buffer | null;
  name: string | null;
  certificate: string | null;
}

export class Authority {
  private readonly clock: Clock;

  private constructor(
    private readonly local: LocalNode,
    private readonly ca: CaFile,
  ) {
    this.clock = local.clock;
  }

  /** Throws NTS_ERR_NO_AUTHORITY where this node does not hold the key. `what` needs it. */
  static async of(local: LocalNode, what: string): Promise<Authority> {
    return new Authority(local, await local.requireCa(what));
  }

  /** A token for one node, for so many milliseconds. */
  createToken(ttl: number): { token: string; expires: number } {
    const { store } = this.local;
    const cluster = fingerprint(this.local.ca);
    const secret = newSecret();
    const expires = this.clock() + ttl;
    store.transaction(() => {
      store.execute('DELETE FROM join_token WHERE expires_at < ?', this.clock() - REMEMBERED);
      const sql = 'INSERT INTO join_token (id, verifier, cluster, expires_at) VALUES (?, ?, ?, ?)';
      store.execute(sql, tokenId(secret), tokenVerifier(secret), cluster, expires);
    });
    return { token: formatToken({ cluster, secret }), expires };
  }

  /** The certificate of the node that the token admits. */
  async admit(request: JoinRequest): Promise<X509Certificate> {
    const { store, membership } = this.local;
    const before = this.redeemed(request);
    if (before) return before;
    const id = newNodeId();
    const certificate = await this.certify(request.name, id, request.publicKey);
    // While that was made, another process or request may have used the token.
    return store.transaction(() => {
      const meanwhile = this.redeemed(request);
      if (meanwhile) return meanwhile;
      const { token, publicKey, name, address } = request;
      const sql = 'UPDATE join_token SET used_by = ?, name = ?, certificate = ? WHERE id = ?';
      store.execute(sql, publicKey, name, certificate.toString(), token);
      membership.amend(this.ca.key, ({ nodes, revision }) => {
        const joined = this.clock();
        nodes.push({ id, name, address, authority: false, joined, revision });
      });
      return certificate;
    });
  }

  async renew(id: string, publicKey: Buffer): Promise<X509Certificate> {
    const { name } = this.requireNode(id);
    return this.certify(name, id, publicKey);
  }

  /** Where a node is from now on. */
  setAddress(id: string, address: string): void {
    this.change(id, { address });
  }

  setAuthority(id: string, authority: boolean): void {
    this.change(id, { authority });
  }

  remove(name: string): NodeEntry {
    const node = this.local.membership.byName(name);
    if (!node) {
      const known = this.local.membership.names.join(', ');
      const what = `no node is called "${name}"; the nodes are ${known}`;
      throw ntsError('NTS_ERR_UNKNOWN_NODE', { what });
    }
    this.local.membership.amend(this.ca.key, ({ removed }) => {
      removed.push({ id: node.id, name, removed: this.clock() });
    });
    return node;
  }

  /** Several lists of nodes become one. */
  unite(): void {
    if (this.local.membership.signed.length > 1) {
      this.local.membership.amend(this.ca.key, () => undefined);
    }
  }

  private certify(name: string, id: string, publicKey: Buffer): Promise<X509Certificate> {
    return createNodeCertificate({
      caKey: this.ca.key,
      ca: this.local.ca,
      lifetime: this.ca.lifetime,
      now: this.clock(),
      name,
      id,
      publicKey,
    });
  }

  private change(id: string, change: Partial<NodeEntry>): void {
    const present = this.requireNode(id);
    if (Object.entries(change).every(([key, value]) => present[key as keyof NodeEntry] === value)) {
      return;
    }
    this.local.membership.amend(this.ca.key, (draft) => {
      const { revision } = draft;
      draft.nodes = draft.nodes.map((node) =>
        node.id === id ? { ...node, ...change, revision } : node,
      );
    });
  }

  private requireNode(id: string): NodeEntry {
    const node = this.local.membership.byId(id);
    if (!node) throw ntsError('NTS_ERR_NOT_A_MEMBER', { what: `no node has the id ${id}` });
    return node;
  }

  /** What the token gave to this key before; null: it is still good. Throws where it is not. */
  private redeemed({
    token,
    mac,
    transcript,
    publicKey,
    name,
  }: JoinRequest): X509Certificate | null {
    const { store, membership } = this.local;
    const cluster = fingerprint(this.local.ca);
    const sql = 'SELECT * FROM join_token WHERE id = ? AND cluster = ?';
    const row = store.get(sql, token, cluster) as TokenRow | null;
    if (!row || !isTokenMac(row.verifier, transcript, mac)) {
      const what =
        'this node did not issue the token, or long ago; get one by "ntswift cluster token"';
      throw ntsError('NTS_ERR_TOKEN_UNKNOWN', { what });
    }
    if (row.used_by !== null) {
      const certificate = new X509Certificate(row.certificate!);
      const same = row.used_by.equals(publicKey) && row.name === name;
      if (same && !membership.isRemoved(idOf(certificate))) return certificate;
      const what = `the token has admitted node ${row.name}, and admits one only`;
      throw ntsError('NTS_ERR_TOKEN_USED', { what });
    }
    if (this.clock() >= row.expires_at) {
      const what = `the token expired at ${new Date(row.expires_at).toISOString()}`;
      throw ntsError('NTS_ERR_TOKEN_EXPIRED', { what });
    }
    const taken = membership.content.nodes.find(
      (node) => node.name.toLowerCase() === name.toLowerCase(),
    );
    if (taken) {
      // The node has lost the answer to an earlier request, and came back with another token.
      const again = `SELECT certificate FROM join_token WHERE used_by = ? AND name = ? AND cluster = ?`;
      const earlier = store.get(again, publicKey, taken.name, cluster)?.certificate;
      const certificate = typeof earlier === 'string' ? new X509Certificate(earlier) : null;
      if (certificate && idOf(certificate) === taken.id && taken.name === name) return certificate;
      const what = `a node called ${taken.name} is in the cluster; choose another name, or remove that one`;
      throw ntsError('NTS_ERR_NAME_TAKEN', { what });
    }
    return null;
  }
}
