/** What a node is on Linux: its kind, owner and mode come from reparse points and the EAs of WSL. */
import { constants } from 'node:fs';
import type { Node } from './node.js';
import { Kind } from './node.js';
import { ReparseTag, decodeEa, decodeReparse, lxSymlinkTarget } from './payload.js';

export type Shape =
  | { readonly kind: 'folder' }
  | { readonly kind: 'file' }
  | { readonly kind: 'symlink'; readonly target: Buffer }
  | {
      readonly kind: 'special';
      /** S_IF* */
      readonly type: number;
      readonly major: number;
      readonly minor: number;
    };

const FILE: Shape = { kind: 'file' };
const S_IFSOCK = 0o140000;

/** Of a node that is no folder. */
export function shapeOf(node: Node): Shape {
  if (node.reparse.length === 0 || node.kind === Kind.stream) return FILE;
  const reparse = decodeReparse(node.reparse);
  switch (reparse.tag) {
    case ReparseTag.lxSymlink: {
      const target = lxSymlinkTarget(reparse);
      return target && !target.includes(0) ? { kind: 'symlink', target } : FILE;
    }
    case ReparseTag.lxFifo:
      return { kind: 'special', type: constants.S_IFIFO, major: 0, minor: 0 };
    case ReparseTag.afUnix:
      return { kind: 'special', type: S_IFSOCK, major: 0, minor: 0 };
    case ReparseTag.lxChr:
    case ReparseTag.lxBlk: {
      const device = eaOf(node, '$LXDEV');
      const type = reparse.tag === ReparseTag.lxChr ? constants.S_IFCHR : constants.S_IFBLK;
      const [major, minor] =
        device?.length === 8 ? [device.readUInt32LE(0), device.readUInt32LE(4)] : [0, 0];
      return { kind: 'special', type, major, minor };
    }
    default:
      return FILE;
  }
}

/** Two nodes, or one before and after a change: does the same inode do? */
export function sameShape(a: Shape, b: Shape): boolean {
  if (a.kind !== b.kind) return false;
  if (a.kind === 'symlink' && b.kind === 'symlink') return a.target.equals(b.target);
  if (a.kind === 'special' && b.kind === 'special') {
    return a.type === b.type && a.major === b.major && a.minor === b.minor;
  }
  return true;
}

function eaOf(node: Node, name: string): Buffer | null {
  return decodeEa(node.ea).find((ea) => ea.name === name)?.value ?? null;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** EAs that become something else than an extended attribute. */
export const OWNER_EAS: ReadonlySet<string> = new Set(['$LXUID', '$LXGID', '$LXMOD']);

/** What no EA tells is as of a file that the replay has just made. */
export function ownerOf(node: Node): Owner {
  const number = (name: string, otherwise: number): number => {
    const value = node.ea.length === 0 ? null : eaOf(node, name);
    return value?.length === 4 ? value.readUInt32LE(0) : otherwise;
  };
  return {
    uid: number('$LXUID', process.geteuid?.() ?? 0),
    gid: number('$LXGID', process.getegid?.() ?? 0),
    mode: number('$LXMOD', node.isFolder ? 0o755 : 0o644) & 0o7777,
  };
}

/** An EA that is an extended attribute of Linux, too. What the file system keeps for itself is not. */
export function isLinuxAttribute(name: string): boolean {
  return /^(user\.|trusted\.|security\.(?!selinux$|evm$|ima$)|system\.posix_acl_)/.test(name);
}
