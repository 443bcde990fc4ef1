/**
 * What a node keeps of its own, in the folder `cluster` of the state folder:
 *
 * - node.json: name, address, key, certificate, the CA's certificate, and the nodes it was told of when it
 *   joined. A node is in a cluster when this file is there; it is written last.
 * - ca.json: the CA's key, where this node holds it.
 * - pending.json: the key of a node that has asked to join and does not know the answer.
 *
 * Each is there whole or not at all, and readable by its owner alone.
 */
import { type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { writeAtomically } from '../common/atomic-file.js';
import { messageOf, ntsError } from '../common/errors.js';
import { readSecret } from '../common/secret-file.js';
import { keyFromPem, keyToPem, publicKeyOf } from './keys.js';
import { type Signed, signedListSchema } from './membership-document.js';
import { endpointSchema, nodeNameSchema } from './names.js';
import { type Identity, fingerprint, identityOf } from './peer.js';

const pem = z.string().max(20_000);

const nodeFileSchema = z.strictObject({
  format: z.literal(1),
  cluster: nodeNameSchema,
  address: endpointSchema,
  key: pem,
  certificate: pem,
  ca: pem,
  documents: signedListSchema.min(1),
});

const caFileSchema = z.strictObject({
  format: z.literal(1),
  key: pem,
  /** Of the certificates that it signs, in milliseconds. */
  lifetime: z.int().positive(),
});

const pendingSchema = z.strictObject({
  format: z.literal(1),
  /** SHA-256 of the CA's certificate. */
  cluster: z.string(),
  key: pem,
});

export interface NodeFile {
  /** The cluster's name. */
  readonly cluster: string;
  /** HOST:PORT by which other nodes reach this one. */
  readonly address: string;
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
  readonly ca: X509Certificate;
  readonly documents: readonly Signed[];
}

export interface LoadedNode extends NodeFile {
  readonly identity: Identity;
  /** SHA-256 of the CA's certificate, in hexadecimal. */
  readonly fingerprint: string;
}

export interface CaFile {
  readonly key: KeyObject;
  readonly lifetime: number;
}

export class NodeFolder {
  readonly folder: string;

  constructor(readonly state: string) {
    this.folder = path.join(state, 'cluster');
  }

  get exists(): boolean {
    return existsSync(this.file('node'));
  }

  /** Throws NTS_ERR_NO_CLUSTER where this is no node. */
  async load(): Promise<LoadedNode> {
    if (!this.exists) throw ntsError('NTS_ERR_NO_CLUSTER', { folder: this.state });
    return this.read('node', nodeFileSchema, (content) => {
      const ca = new X509Certificate(content.ca);
      const certificate = new X509Certificate(content.certificate);
      const key = keyFromPem(content.key);
      if (!certificate.checkPrivateKey(key)) throw new Error('key and certificate do not match');
      const identity = identityOf(certificate, ca);
      return { ...content, ca, certificate, key, identity, fingerprint: fingerprint(ca) };
    });
  }

  async save(node: NodeFile): Promise<void> {
    await this.write('node', {
      format: 1,
      cluster: node.cluster,
      address: node.address,
      key: keyToPem(node.key),
      certificate: node.certificate.toString(),
      ca: node.ca.toString(),
      documents: node.documents,
    });
  }

  /** The key that signs for this CA; null where this node does not hold it. */
  async loadCa(ca: X509Certificate): Promise<CaFile | null> {
    if (!existsSync(this.file('ca'))) return null;
    return this.read('ca', caFileSchema, ({ key: text, lifetime }) => {
      const key = keyFromPem(text);
      // A crash may have left the key of a cluster that never was.
      return isKeyOf(key, ca) ? { key, lifetime } : null;
    });
  }

  async saveCa({ key, lifetime }: CaFile): Promise<void> {
    await this.write('ca', { format: 1, key: keyToPem(key), lifetime });
  }

  async removeCa(): Promise<void> {
    await rm(this.file('ca'), { force: true });
  }

  /** The key with which this node asked that cluster before. */
  async loadPending(cluster: string): Promise<KeyObject | null> {
    if (!existsSync(this.file('pending'))) return null;
    return this.read('pending', pendingSchema, (content) =>
      content.cluster === cluster ? keyFromPem(content.key) : null,
    );
  }

  async savePending(cluster: string, key: KeyObject): Promise<void> {
    await this.write('pending', { format: 1, cluster, key: keyToPem(key) });
  }

  async removePending(): Promise<void> {
    await rm(this.file('pending'), { force: true });
  }

  /** The node is none any more: first the file that makes it one, then the rest. */
  async clear(): Promise<void> {
    await rm(this.file('node'), { force: true });
    await this.removeCa();
    await this.removePending();
    await this.tidy();
  }

  /** What a crash left half written may hold a key. Nobody else may be writing. */
  async tidy(): Promise<void> {
    for (const name of existsSync(this.folder) ? await readdir(this.folder) : []) {
      if (/^\..*\.tmp$/.test(name)) await rm(path.join(this.folder, name), { force: true });
    }
  }

  private file(name: 'node' | 'ca' | 'pending'): string {
    return path.join(this.folder, `${name}.json`);
  }

  private async write(name: 'node' | 'ca' | 'pending', content: object): Promise<void> {
    const file = this.file(name);
    try {
      await mkdir(this.folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw ntsError('NTS_ERR_FILE_WRITE', { file, why: messageOf(error) }, { cause: error });
    }
    const text = `${JSON.stringify(content, null, 2)}\n`;
    await writeAtomically(file, (handle) => handle.writeFile(text));
  }

  private async read<C, T>(
    name: 'node' | 'ca' | 'pending',
    schema: z.ZodType<C>,
    convert: (content: C) => T,
  ): Promise<T> {
    const file = this.file(name);
    const secret = await readSecret(file);
    secret.requirePrivate();
    try {
      return convert(schema.parse(JSON.parse(secret.text)));
    } catch (error) {
      const why = `it is damaged, or of another release: ${messageOf(error)}`;
      throw ntsError('NTS_ERR_FILE_READ', { file, why }, { cause: error });
    }
  }
}

export function isKeyOf(key: KeyObject, certificate: X509Certificate): boolean {
  return publicKeyOf(key).equals(publicKeyOf(certificate.publicKey));
}
