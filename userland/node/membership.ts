/**
 * What this node knows of its cluster's nodes, in the store: read anew whenever it is asked, since another
 * process of ours may have changed it.
 */
import { EventEmitter } from 'node:events';
import type { KeyObject } from 'node:crypto';
import { ntsError } from '../common/errors.js';
import type { Store } from '../common/store.js';
import {
  type Content,
  type Document,
  type NodeEntry,
  type RemovedEntry,
  type Signed,
  digest,
  reduce,
  signDocument,
  signedListSchema,
  verifyDocument,
  view,
} from './membership-document.js';

interface Known {
  readonly text: string;
  readonly documents: readonly Document[];
  readonly content: Content;
  readonly digest: string;
}

/** What a holder of the CA's key changes; the version is set by who signs. */
export interface Draft {
  nodes: NodeEntry[];
  removed: RemovedEntry[];
  /** Of the document that comes of it, for the entries that are changed. */
  readonly revision: number;
}

interface Events {
  change: [];
}

export class Membership extends EventEmitter<Events> {
  private known: Known | null = null;
  /** The digest of what the listeners know. */
  private told: string;

  /** `seed`: what the node was told when it joined. */
  constructor(
    private readonly store: Store,
    private readonly cluster: string,
    private readonly caKey: KeyObject,
    private readonly seed: readonly Signed[],
  ) {
    super();
    this.told = this.digest;
  }

  get signed(): Signed[] {
    return this.read().documents.map(({ signed }) => signed);
  }

  get content(): Content {
    return this.read().content;
  }

  get digest(): string {
    return this.read().digest;
  }

  byName(name: string): NodeEntry | null {
    return this.content.nodes.find((node) => node.name === name) ?? null;
  }

  byId(id: string): NodeEntry | null {
    return this.content.nodes.find((node) => node.id === id) ?? null;
  }

  isRemoved(id: string): boolean {
    return this.content.removed.some((entry) => entry.id === id);
  }

  get names(): string[] {
    return this.content.nodes.map(({ name }) => name).sort();
  }

  /** Those that hold the CA's key, as far as is known. */
  get authorities(): NodeEntry[] {
    return this.content.nodes.filter(({ authority }) => authority);
  }

  /** From a peer or a file: true where it brought something new. Throws where one is not of this cluster. */
  accept(signed: readonly Signed[]): boolean {
    const documents = signed.map((one) => verifyDocument(one, this.cluster, this.caKey));
    return this.update((known) => [...known, ...documents]);
  }

  /** By a holder of the CA's key: what is known becomes one document, changed by `change`. */
  amend(privateKey: KeyObject, change: (draft: Draft) => void): void {
    this.update((known) => {
      const before = view(known);
      const version = before.version + 1;
      const draft: Draft = {
        nodes: [...before.nodes],
        removed: [...before.removed],
        revision: version,
      };
      change(draft);
      draft.removed.push(...rivals(draft));
      const gone = new Set(draft.removed.map(({ id }) => id));
      const nodes = draft.nodes.filter(({ id }) => !gone.has(id));
      return [signDocument({ ...before, version, nodes, removed: draft.removed }, privateKey)];
    });
  }

  /** Tells the listeners of what has changed, by another process too. */
  refresh(): void {
    if (this.digest === this.told) return;
    this.told = this.digest;
    this.emit('change');
  }

  private update(change: (known: readonly Document[]) => readonly Document[]): boolean {
    const changed = this.store.transaction(() => {
      const { documents, digest: before } = this.read();
      const after = reduce(change(documents));
      if (digest(after) === before) return false;
      const text = JSON.stringify(after.map(({ signed }) => signed));
      this.store.execute(
        'INSERT OR REPLACE INTO cluster_membership VALUES (?, ?)',
        this.cluster,
        text,
      );
      return true;
    });
    this.refresh();
    return changed;
  }

  private read(): Known {
    const sql = 'SELECT documents FROM cluster_membership WHERE cluster = ?';
    const row = this.store.get(sql, this.cluster);
    const text = (row?.documents as string | undefined) ?? JSON.stringify(this.seed);
    if (this.known?.text === text) return this.known;
    const signed = signedListSchema.min(1).safeParse(JSON.parse(text));
    if (!signed.success) {
      const why = 'the list of nodes in it is damaged';
      throw ntsError('NTS_ERR_STORE', { file: this.store.file, why }, { cause: signed.error });
    }
    const documents = reduce(
      signed.data.map((one) => verifyDocument(one, this.cluster, this.caKey)),
    );
    this.known = { text, documents, content: view(documents), digest: digest(documents) };
    return this.known;
  }
}

/**
 * Two holders of the CA's key may have admitted two nodes by the same name at the same time. The name is
 * the identity, hence the later one has to go.
 */
function rivals({ nodes, removed }: Draft): RemovedEntry[] {
  const gone = new Set(removed.map(({ id }) => id));
  const first = new Map<string, NodeEntry>();
  const later: RemovedEntry[] = [];
  const inOrder = nodes
    .filter(({ id }) => !gone.has(id))
    .sort((a, b) => a.joined - b.joined || (a.id < b.id ? -1 : 1));
  for (const node of inOrder) {
    const key = node.name.toLowerCase();
    if (!first.has(key)) first.set(key, node);
    else later.push({ id: node.id, name: node.name, removed: node.joined });
  }
  return later;
}
