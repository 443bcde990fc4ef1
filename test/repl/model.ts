/**
 * The reference: a file tree in memory that knows nothing of how the backup works, and says what each
 * path must be.
 */
import { createHash } from 'node:crypto';
import type { Entry } from '../../userland/repl/payload.js';

export type Shape = 'folder' | 'file' | 'symlink' | 'fifo';

export class Inode {
  shape: Shape;
  data: Buffer = Buffer.alloc(0);
  target = '';
  /** By name; of a folder. */
  entries = new Map<string, Inode>();
  streams = new Map<string, Buffer>();
  xattrs = new Map<string, string>();
  mode: number;
  uid: number | null = null;
  gid: number | null = null;
  write = 0n;
  security = '';

  constructor(
    readonly id: Buffer,
    shape: Shape,
  ) {
    this.shape = shape;
    this.mode = shape === 'folder' ? 0o755 : 0o644;
  }
}

/** What a ReplRecordFolder says of a folder. */
export function entriesOf(folder: Inode): Entry[] {
  return [...folder.entries].map(([name, inode]) => ({
    fileId: inode.id,
    size: inode.data.length,
    lastWriteTime: inode.write,
    changeTime: inode.write,
    attributes: inode.shape === 'folder' ? 0x10 : 0x20,
    name,
  }));
}

export interface Found {
  readonly path: string;
  readonly parent: Inode;
  readonly name: string;
  readonly inode: Inode;
}

export class Model {
  readonly roots = new Map<number, Inode>();

  root(set: number): Inode {
    let root = this.roots.get(set);
    if (!root) {
      const id = Buffer.alloc(16);
      id.writeUInt32LE(0xffff0000 + set, 0);
      this.roots.set(set, (root = new Inode(id, 'folder')));
    }
    return root;
  }

  /** Every name of a set, folders before what is in them. */
  all(set: number): Found[] {
    const found: Found[] = [];
    const visit = (folder: Inode, prefix: string): void => {
      for (const [name, inode] of folder.entries) {
        const path = prefix === '' ? name : `${prefix}\\${name}`;
        found.push({ path, parent: folder, name, inode });
        if (inode.shape === 'folder') visit(inode, path);
      }
    };
    visit(this.root(set), '');
    return found;
  }

  names(set: number, inode: Inode): Found[] {
    return this.all(set).filter((one) => one.inode === inode);
  }

  clone(): Model {
    const copy = new Model();
    const inodes = new Map<Inode, Inode>();
    const visit = (inode: Inode): Inode => {
      const known = inodes.get(inode);
      if (known) return known;
      const twin = new Inode(inode.id, inode.shape);
      inodes.set(inode, twin);
      Object.assign(twin, {
        data: inode.data,
        target: inode.target,
        mode: inode.mode,
        uid: inode.uid,
        gid: inode.gid,
        write: inode.write,
        security: inode.security,
        streams: new Map(inode.streams),
        xattrs: new Map(inode.xattrs),
        entries: new Map([...inode.entries].map(([name, child]) => [name, visit(child)])),
      });
      return twin;
    };
    for (const [set, root] of this.roots) copy.roots.set(set, visit(root));
    return copy;
  }

  /** One line a name, sorted: what dump.ts makes of a tree on disk. */
  dump(): string[] {
    const lines: string[] = [];
    for (const set of this.roots.keys()) {
      const all = this.all(set)
        .map(({ path, inode }) => ({ name: `${set}/${path.replaceAll('\\', '/')}`, inode }))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
      const first = new Map<Inode, string>();
      for (const { name, inode } of all) {
        if (!first.has(inode)) first.set(inode, name);
        lines.push(describe(name, inode, first.get(inode)!));
      }
    }
    return lines.sort();
  }
}

export function hash(data: Uint8Array): string {
  return createHash('sha1').update(data).digest('hex').slice(0, 12);
}

/** A copy that is being made. */
export function describeOrphan(name: string, inode: Pick<Inode, 'shape' | 'data'>): string {
  const { shape, data } = inode;
  return `orphans/${name}\t${shape === 'file' ? `${data.length}:${hash(data)}` : shape}`;
}

export interface Described {
  readonly shape: Shape;
  readonly data: Uint8Array;
  readonly target: string;
  readonly mode: number;
  readonly uid: number | null;
  readonly gid: number | null;
  readonly write: bigint;
  readonly security: string;
  readonly streams: ReadonlyMap<string, Uint8Array>;
  readonly xattrs: ReadonlyMap<string, string>;
}

export const isRoot = process.getuid?.() === 0;

export function describe(name: string, inode: Described, first: string): string {
  const parts = [name, inode.shape];
  if (inode.shape !== 'symlink') parts.push((inode.mode & 0o7777).toString(8));
  // Only root may give files away.
  if (isRoot) parts.push(`${inode.uid ?? 0}:${inode.gid ?? 0}`);
  if (inode.shape === 'file') parts.push(`${inode.data.length}:${hash(inode.data)}`);
  if (inode.shape === 'symlink') parts.push(inode.target);
  if (inode.shape !== 'folder') parts.push(String(inode.write));
  if (first !== name) parts.push(`= ${first}`);
  if (inode.security !== '') parts.push(`sd ${inode.security}`);
  // Linux has user attributes of files and folders only; those of others wait in the map.
  if (inode.shape === 'file' || inode.shape === 'folder') {
    for (const [xattr, value] of [...inode.xattrs].sort()) parts.push(`${xattr}=${value}`);
  }
  for (const [stream, data] of [...inode.streams].sort()) parts.push(`${stream}=${hash(data)}`);
  return parts.join('\t');
}
