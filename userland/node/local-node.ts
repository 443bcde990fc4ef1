/** This node: its identity, what it knows of the others, and the CA's key where it holds that. */
import { EventEmitter } from 'node:events';
import type { KeyObject, X509Certificate } from 'node:crypto';
import { type SecureContext, createSecureContext } from 'node:tls';
import { ntsError } from '../common/errors.js';
import { Store } from '../common/store.js';
import { type CaFile, type LoadedNode, NodeFolder } from './identity.js';
import { type Clock, systemClock } from './clock.js';
import { Membership } from './membership.js';
import { type Identity, fingerprint } from './peer.js';

interface Events {
  /** A new certificate. */
  identity: [];
  /** A channel has shown that this node has another list of nodes. */
  differs: [node: string];
}

export class LocalNode extends EventEmitter<Events> {
  readonly membership: Membership;
  private context: SecureContext | null = null;

  private constructor(
    readonly folder: NodeFolder,
    readonly store: Store,
    readonly clock: Clock,
    private loaded: LoadedNode,
  ) {
    super();
    const { ca, documents } = loaded;
    this.membership = new Membership(store, fingerprint(ca), ca.publicKey, documents);
  }

  /** Close it at the end. Throws NTS_ERR_NO_CLUSTER where the folder holds no node. */
  static async open(state: string, clock: Clock = systemClock): Promise<LocalNode> {
    const folder = new NodeFolder(state);
    const loaded = await folder.load();
    const store = Store.open(state);
    try {
      return new LocalNode(folder, store, clock, loaded);
    } catch (error) {
      store.close();
      throw error;
    }
  }

  close(): void {
    this.store.close();
  }

  get identity(): Identity {
    return this.loaded.identity;
  }

  get name(): string {
    return this.loaded.identity.name;
  }

  get id(): string {
    return this.loaded.identity.id;
  }

  /** By which the others reach it, as it was told here. */
  get address(): string {
    return this.loaded.address;
  }

  get cluster(): { readonly name: string; readonly fingerprint: string } {
    return { name: this.loaded.cluster, fingerprint: this.loaded.fingerprint };
  }

  get ca(): X509Certificate {
    return this.loaded.ca;
  }

  get key(): KeyObject {
    return this.loaded.key;
  }

  /** For TLS: version 1.3 alone, this node's certificate with the CA's behind it. */
  get secureContext(): SecureContext {
    this.context ??= createSecureContext(this.secureOptions);
    return this.context;
  }

  get secureOptions() {
    const { key, certificate, ca } = this.loaded;
    return {
      key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
      cert: certificate.toString() + ca.toString(),
      ca: ca.toString(),
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
    } as const;
  }

  /** The CA's key; null where this node does not hold it. Read anew, since it can come and go. */
  async loadCa(): Promise<CaFile | null> {
    return this.folder.loadCa(this.ca);
  }

  /** Throws NTS_ERR_NO_AUTHORITY, with the nodes that could do it. */
  async requireCa(what: string): Promise<CaFile> {
    const ca = await this.loadCa();
    if (ca) return ca;
    const others = this.membership.authorities.map(({ name, address }) => `${name} (${address})`);
    const where = others.length > 0 ? others.join(', ') : 'none that is known here';
    throw ntsError('NTS_ERR_NO_AUTHORITY', {
      what: `${what} needs the CA's key, which ${this.name} does not hold. Nodes that hold it: ${where}`,
    });
  }

  /** What another process of ours may have changed. */
  async reload(): Promise<void> {
    const loaded = await this.folder.load();
    if (loaded.identity.id !== this.id) {
      const what = `this node was ${this.name} of cluster ${this.cluster.name}, and is another node now`;
      throw ntsError('NTS_ERR_NOT_A_MEMBER', { what });
    }
    const renewed = loaded.identity.serial !== this.identity.serial;
    this.loaded = loaded;
    if (renewed) this.renewed();
    this.membership.refresh();
  }

  async setAddress(address: string): Promise<void> {
    if (address === this.address) return;
    await this.folder.save({ ...this.loaded, address });
    await this.reload();
  }

  async setCertificate(key: KeyObject, certificate: X509Certificate): Promise<void> {
    await this.folder.save({ ...this.loaded, key, certificate });
    await this.reload();
  }

  private renewed(): void {
    this.context = null;
    this.emit('identity');
  }
}
