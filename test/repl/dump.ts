/** What a backup's tree is, read from the disk; lines as those of model.ts. */
import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';
import { Files } from '../../userland/repl/files.js';
import type { FileMap } from '../../userland/repl/map.js';
import { ORPHANS, TOP } from '../../userland/repl/node.js';
import { FILETIME_1970 } from '../../userland/repl/time.js';
import { type Shape, describe, describeOrphan, hash } from './model.js';

let files: Files | null = null;

/** `state`: where named streams are; the map says whose. */
export function dumpTree(tree: string, state: string, map: FileMap): string[] {
  files ??= new Files();
  const lines: string[] = [];
  const inodes = new Map<number, string>();
  const visit = (name: string, node: number): void => {
    const full = path.join(tree, name);
    const folder = files!.openFolder(full);
    try {
      const children = readdirSync(full).sort();
      for (const child of children) {
        const line = one(
          `${name}/${child}`,
          folder,
          child,
          map.child(node, child),
          inodes,
          state,
          map,
        );
        lines.push(line);
      }
      for (const child of children) {
        if (lstatSync(path.join(full, child)).isDirectory()) {
          visit(`${name}/${child}`, map.child(node, child));
        }
      }
    } finally {
      files!.close(folder);
    }
  };
  for (const set of readdirSync(tree).sort()) {
    visit(set, map.child(TOP, set));
  }
  return relink([...lines, ...orphans(path.join(state, 'orphans'), map)].sort());
}

/** Outside of brackets: copies that are being made. */
function orphans(folder: string, map: FileMap): string[] {
  const known = map.children(ORPHANS).map(({ name }) => name);
  const there = readdirSync(folder);
  if (there.sort().join() !== known.sort().join()) {
    throw new Error(`the orphans are ${there.join()}, the map has ${known.join()}`);
  }
  return there.map((name) => {
    const full = path.join(folder, name);
    const isLink = lstatSync(full).isSymbolicLink();
    const data = isLink ? Buffer.alloc(0) : readFileSync(full);
    return describeOrphan(name, { shape: isLink ? 'symlink' : 'file', data });
  });
}

const S_IFMT = 0o170000;
const shapes = new Map<number, Shape>([
  [0o040000, 'folder'],
  [0o100000, 'file'],
  [0o120000, 'symlink'],
  [0o010000, 'fifo'],
]);

function one(
  name: string,
  folder: number,
  child: string,
  id: number,
  inodes: Map<number, string>,
  state: string,
  map: FileMap,
): string {
  const stat = files!.stat(folder, child)!;
  const shape = shapes.get(stat.mode & S_IFMT)!;
  const full = `/proc/self/fd/${folder}/${child}`;
  const node = map.get(id);
  const xattrs = new Map<string, string>();
  if (shape !== 'symlink') {
    for (const attribute of files!.listXattr(folder, child)) {
      if (!attribute.startsWith('user.')) continue;
      xattrs.set(attribute, files!.getXattr(folder, child, attribute).toString('latin1'));
    }
  }
  const streams = new Map<string, Buffer>();
  for (const { name: stream } of map.children(id)) {
    if (!stream.startsWith(':')) continue;
    streams.set(stream, readFileSync(path.join(state, 'streams', `${id}${stream}`)));
  }
  if (!inodes.has(stat.ino)) inodes.set(stat.ino, name);
  const write =
    BigInt(stat.writeSeconds) * 10_000_000n +
    BigInt(Math.floor(stat.writeNanoseconds / 100)) +
    FILETIME_1970;
  return describe(
    name,
    {
      shape,
      data: shape === 'file' ? readFileSync(full) : Buffer.alloc(0),
      target: shape === 'symlink' ? readlinkSync(full) : '',
      mode: stat.mode,
      uid: stat.uid,
      gid: stat.gid,
      write,
      security: node && node.security.length > 0 ? hash(node.security) : '',
      streams,
      xattrs,
    },
    stat.links > 1 && shape !== 'folder' ? `inode ${stat.ino}` : name,
  );
}

/** "= inode N" becomes the first of the names; a count of links that no name explains shows. */
function relink(lines: string[]): string[] {
  const first = new Map<string, string>();
  return lines.map((line) => {
    const match = /= (inode \d+)/.exec(line);
    if (!match) return line;
    const [, inode] = match;
    const [name] = line.split('\t');
    const known = first.get(inode!);
    if (known !== undefined) return line.replace(/= inode \d+/, `= ${known}`);
    first.set(inode!, name!);
    return line.replace(/\t= inode \d+/, '');
  });
}
