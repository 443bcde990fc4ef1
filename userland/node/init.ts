/** The first node of a new cluster: its CA, and itself. */
import { Store } from '../common/store.js';
import { CERTIFICATE_LIFETIME, createCa, createNodeCertificate, newNodeId } from './certificate.js';
import { type Clock, systemClock } from './clock.js';
import { NodeFolder } from './identity.js';
import { newKey, publicKeyOf } from './keys.js';
import { requireNoCluster } from './join.js';
import { signDocument } from './membership-document.js';
import { fingerprint } from './peer.js';

export interface InitOptions {
  readonly cluster: string;
  readonly node: string;
  /** HOST:PORT. */
  readonly address: string;
  readonly clock?: Clock;
  /** Of the certificates of nodes, in milliseconds. */
  readonly lifetime?: number;
}

/**
 * A crash leaves no cluster, or this one: the file that makes this a node is the last. What it left before
 * belongs to a CA that nobody knows, and is overwritten by the next.
 */
export async function initCluster(state: string, options: InitOptions): Promise<void> {
  const { cluster, node: name, address, clock = systemClock } = options;
  const { lifetime = CERTIFICATE_LIFETIME } = options;
  const folder = new NodeFolder(state);
  const store = Store.open(state);
  try {
    await store.exclusively(async () => {
      await requireNoCluster(folder);
      await folder.tidy();
      const now = clock();
      const caKey = newKey();
      const ca = await createCa(caKey, cluster, now);
      const key = newKey();
      const id = newNodeId();
      const publicKey = publicKeyOf(key);
      const certificate = await createNodeCertificate({
        ...{ caKey, ca, name, id, publicKey, now, lifetime },
      });
      const self = { id, name, address, authority: true, joined: now, revision: 1 };
      const content = {
        ...{ cluster: fingerprint(ca), name: cluster, version: 1, nodes: [self], removed: [] },
      };
      const documents = [signDocument(content, caKey).signed];
      await folder.saveCa({ key: caKey, lifetime });
      await folder.save({ cluster, address, key, certificate, ca, documents });
      await folder.removePending();
    });
  } finally {
    store.close();
  }
}
