/**
 * A file, folder or named stream of the backup, as the map keeps it: who it is, and everything that is
 * known of it but its data and names. What Linux has no place for (security descriptors, attributes,
 * creation times, most extended attributes) is kept here alone.
 */

export const Kind = { folder: 1, file: 2, stream: 3 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Nodes that no record made. */
export const ORPHANS = 1;
export const TOP = 2;
export const FIRST_NODE = 16;

export interface Place {
  readonly parent: number;
  readonly name: string;
}

/** Copy mode: what the copy of a file is called among the orphans while it is being made. */
export function copyName(set: number, key: string): string {
  return `c${set}-${Buffer.from(key, 'latin1').toString('hex')}`;
}

/** Other orphans are called by their numbers. */
export function isCopyName(name: string): boolean {
  return name.startsWith('c');
}

const FIXED = 80;
const EMPTY = Buffer.alloc(0);

export class Node {
  /** Where it is; null: not asked yet. The map keeps it. */
  names: Place[] | null = null;
  /** Differs from its row. */
  dirty = false;
  /** The inode that stands for it in the tree; 0: none yet. */
  ino = 0;
  size = 0;
  attributes = 0;
  sparse = false;
  compression = 0;
  /** FILETIME; 0: not told. */
  creation = 0n;
  access = 0n;
  write = 0n;
  change = 0n;
  security: Buffer = EMPTY;
  ea: Buffer = EMPTY;
  reparse: Buffer = EMPTY;

  constructor(
    readonly id: number,
    readonly set: number,
    /** FileId as latin1; of a stream, and of a root that no record named, empty. */
    public key: string,
    readonly kind: Kind,
  ) {}

  get isFolder(): boolean {
    return this.kind === Kind.folder;
  }

  encode(): Buffer {
    const { security, ea, reparse } = this;
    const bytes = Buffer.alloc(FIXED + 16 + security.length + ea.length + reparse.length);
    bytes.writeUInt32LE(this.set, 0);
    bytes.writeUInt8(this.kind, 4);
    bytes.writeUInt8(this.sparse ? 1 : 0, 5);
    bytes.writeUInt8(this.key === '' ? 0 : 1, 6);
    bytes.writeUInt32LE(this.attributes, 8);
    bytes.writeUInt32LE(this.compression, 12);
    bytes.writeBigUInt64LE(BigInt(this.ino), 16);
    bytes.writeBigUInt64LE(BigInt(this.size), 24);
    bytes.writeBigUInt64LE(this.creation, 32);
    bytes.writeBigUInt64LE(this.access, 40);
    bytes.writeBigUInt64LE(this.write, 48);
    bytes.writeBigUInt64LE(this.change, 56);
    bytes.writeUInt32LE(security.length, 64);
    bytes.writeUInt32LE(ea.length, 68);
    bytes.writeUInt32LE(reparse.length, 72);
    bytes.write(this.key, FIXED, 'latin1');
    let at = FIXED + 16;
    for (const part of [security, ea, reparse]) at += part.copy(bytes, at);
    return bytes;
  }

  static decode(id: number, bytes: Buffer): Node {
    const key = bytes[6] === 0 ? '' : bytes.toString('latin1', FIXED, FIXED + 16);
    const node = new Node(id, bytes.readUInt32LE(0), key, bytes[4] as Kind);
    node.sparse = bytes[5] === 1;
    node.attributes = bytes.readUInt32LE(8);
    node.compression = bytes.readUInt32LE(12);
    node.ino = Number(bytes.readBigUInt64LE(16));
    node.size = Number(bytes.readBigUInt64LE(24));
    node.creation = bytes.readBigUInt64LE(32);
    node.access = bytes.readBigUInt64LE(40);
    node.write = bytes.readBigUInt64LE(48);
    node.change = bytes.readBigUInt64LE(56);
    let at = FIXED + 16;
    const part = (length: number): Buffer => {
      // A copy: what it is a part of may be a page of a large read.
      const own = length === 0 ? EMPTY : Buffer.from(bytes.subarray(at, at + length));
      at += length;
      return own;
    };
    node.security = part(bytes.readUInt32LE(64));
    node.ea = part(bytes.readUInt32LE(68));
    node.reparse = part(bytes.readUInt32LE(72));
    return node;
  }
}
