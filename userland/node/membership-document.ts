/**
 * The membership document: the nodes of a cluster, and which were removed; signed by the CA's key.
 *
 * One node has the CA's key as a rule, and its documents follow each other by version. Where several have
 * it, documents may come to stand side by side; a node then keeps all that say something the others do not,
 * and reads them as one, until a holder of the key signs their union. Entries are merged by node id: a
 * removal wins over everything, a higher revision over a lower one. So nobody forgets a removal that he was
 * told, whoever replays what old document.
 *
 * The text is canonical: two documents with the same content have the same bytes.
 */
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { ntsError } from '../common/errors.js';
import { endpointSchema, nodeNameSchema } from './names.js';
import { isSignedBy, sha256, signWith } from './keys.js';

/** A node's entry takes about 200 bytes, a removal about 100: some thousand nodes. */
const MAX_TEXT = 1 << 19;
/** As many as hold the CA's key, at most. */
const MAX_DOCUMENTS = 8;
/** Of all documents together, as they travel. */
export const MAX_DOCUMENTS_BYTES = 1 << 20;

const idSchema = z.string().regex(/^[4-7][0-9a-f]{15}$/);
const timeSchema = z.int().nonnegative();

const nodeSchema = z.strictObject({
  id: idSchema,
  name: nodeNameSchema,
  address: endpointSchema,
  /** Whether it holds the CA's key. */
  authority: z.boolean(),
  /** Milliseconds since 1970. */
  joined: timeSchema,
  /** The version of the document in which the entry was last changed. */
  revision: z.int().nonnegative(),
});

const removedSchema = z.strictObject({ id: idSchema, name: nodeNameSchema, removed: timeSchema });

const contentSchema = z.strictObject({
  format: z.literal(1),
  /** SHA-256 of the CA's certificate, in hexadecimal. */
  cluster: z.string().regex(/^[0-9a-f]{64}$/),
  name: nodeNameSchema,
  version: z.int().positive(),
  nodes: z.array(nodeSchema),
  removed: z.array(removedSchema),
});

export type NodeEntry = Readonly<z.infer<typeof nodeSchema>>;
export type RemovedEntry = Readonly<z.infer<typeof removedSchema>>;

export interface Content {
  readonly cluster: string;
  readonly name: string;
  readonly version: number;
  readonly nodes: readonly NodeEntry[];
  readonly removed: readonly RemovedEntry[];
}

export const signedSchema = z.strictObject({
  text: z.string().max(MAX_TEXT),
  /** Base64. */
  signature: z.string().max(200),
});
export type Signed = Readonly<z.infer<typeof signedSchema>>;

export const signedListSchema = z.array(signedSchema).max(MAX_DOCUMENTS);

export interface Document {
  readonly signed: Signed;
  readonly content: Content;
}

const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1);

function canonical({ cluster, name, version, nodes, removed }: Content): string {
  return JSON.stringify({
    format: 1,
    cluster,
    name,
    version,
    nodes: [...nodes].sort(byId).map(nodeText),
    removed: [...removed].sort(byId).map(({ id, name, removed }) => ({ id, name, removed })),
  });
}

function nodeText({ id, name, address, authority, joined, revision }: NodeEntry): NodeEntry {
  return { id, name, address, authority, joined, revision };
}

export function signDocument(content: Content, caKey: KeyObject): Document {
  const text = canonical(content);
  if (text.length > MAX_TEXT) {
    const what = 'the list of nodes would be too long; no more nodes can be added';
    throw ntsError('NTS_ERR_PEER_REFUSED', { what });
  }
  const signature = signWith(caKey, 'ntswift membership 1', Buffer.from(text)).toString('base64');
  return { signed: { text, signature }, content };
}

/** Nothing of the text is looked at before its signature has been. */
export function verifyDocument(signed: Signed, cluster: string, caKey: KeyObject): Document {
  const signature = Buffer.from(signed.signature, 'base64');
  const { text } = signed;
  if (!isSignedBy(caKey, 'ntswift membership 1', Buffer.from(text), signature)) {
    const what = "the list of nodes is not signed by this cluster's CA";
    throw ntsError('NTS_ERR_WRONG_CLUSTER', { what });
  }
  const parsed = contentSchema.safeParse(JSON.parse(text));
  if (!parsed.success || parsed.data.cluster !== cluster) {
    const what = 'the list of nodes is of another release of ntswift';
    throw ntsError('NTS_ERR_PEER_PROTOCOL', { what }, { cause: parsed.error });
  }
  return { signed, content: parsed.data };
}

/** The union; its version is the highest of both. */
export function merge(a: Content, b: Content): Content {
  const removed = new Map<string, RemovedEntry>();
  for (const entry of [...a.removed, ...b.removed]) {
    const known = removed.get(entry.id);
    if (!known || entry.removed < known.removed) removed.set(entry.id, entry);
  }
  const nodes = new Map<string, NodeEntry>();
  for (const entry of [...a.nodes, ...b.nodes]) {
    const known = nodes.get(entry.id);
    if (!removed.has(entry.id) && (!known || newer(entry, known))) nodes.set(entry.id, entry);
  }
  return {
    cluster: a.cluster,
    name: a.name,
    version: Math.max(a.version, b.version),
    nodes: [...nodes.values()],
    removed: [...removed.values()],
  };
}

function newer(entry: NodeEntry, known: NodeEntry): boolean {
  if (entry.revision !== known.revision) return entry.revision > known.revision;
  return JSON.stringify(nodeText(entry)) > JSON.stringify(nodeText(known));
}

function sameEntries(a: Content, b: Content): boolean {
  const text = (content: Content): string => canonical({ ...content, version: 1 });
  return text(a) === text(b);
}

/** Whether b says nothing that a does not. */
function covers(a: Content, b: Content): boolean {
  if (!sameEntries(merge(a, b), a)) return false;
  return a.version >= b.version || !sameEntries(a, b);
}

/** Those that say something the others do not. */
export function reduce(documents: readonly Document[]): Document[] {
  const kept: Document[] = [];
  const newest = [...documents].sort((a, b) => b.content.version - a.content.version);
  for (const document of newest) {
    if (kept.some((other) => covers(other.content, document.content))) continue;
    const rest = kept.filter((other) => !covers(document.content, other.content));
    kept.splice(0, kept.length, ...rest, document);
  }
  if (kept.length > MAX_DOCUMENTS) {
    const what = `more than ${MAX_DOCUMENTS} lists of nodes stand side by side; take the CA's key from some nodes`;
    throw ntsError('NTS_ERR_PEER_REFUSED', { what });
  }
  return kept.sort((a, b) => (a.signed.text < b.signed.text ? -1 : 1));
}

/** All of them as one. */
export function view(documents: readonly Document[]): Content {
  return documents.map(({ content }) => content).reduce(merge);
}

/** The same on two nodes that know the same. */
export function digest(documents: readonly Document[]): string {
  return sha256(documents.map(({ signed }) => sha256(signed.text).toString('hex')).join()).toString(
    'hex',
  );
}
