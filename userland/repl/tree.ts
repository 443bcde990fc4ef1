/**
 * The backup's files on the disk: what the map says, done to folders and files.
 *
 *   tree/SET/...            what was replicated, one folder a set
 *   state/streams/N:name    named streams of node N
 *   state/orphans/N         nodes whose names are gone, until the bracket closes in which they went
 *   state/orphans/cS-F      the copy of file F of set S that is being made (copy mode)
 *   state/trash/C/N         nodes deleted since checkpoint C, for the way back
 *   state/pins/N            nodes taken out of the tree while it is put back
 *
 * All of it is in one file system, since renames and links lead from one to another. Nodes are reached
 * through the map's names from folder to folder, each opened by one name without following symbolic
 * links, and what is opened must have the inode that the map knows.
 */
import { constants } from 'node:fs';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { ntsError } from '../common/errors.js';
import { type Files, type Name, RENAME_EXCHANGE, isCode } from './files.js';
import type { FileMap, Journal } from './map.js';
import { diskName } from './names.js';
import { FIRST_NODE, Kind, type Node, ORPHANS, TOP } from './node.js';
import { decodeEa } from './payload.js';
import { type Shape, isLinuxAttribute, ownerOf, shapeOf } from './shape.js';
import { FILETIME_1970 } from './time.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR } = constants;

const OPEN_FILES = 256;
const OPEN_FOLDERS = 256;
/** More files than this are made durable by one call for all. Less than may be open. */
const SYNC_FILES = 64;

/** A name in an open folder of the disk. */
export interface Spot {
  readonly folder: number;
  readonly name: Name;
}

export interface TreePaths {
  readonly tree: string;
  readonly state: string;
}

const parts = ['streams', 'orphans', 'trash', 'pins'] as const;
type Part = (typeof parts)[number];

export class Tree {
  private readonly root: number;
  private readonly state: Record<Part, number>;
  private readonly openFiles = new Map<number, number>();
  private readonly openFolders = new Map<number, number>();
  private trashFolder: number | null = null;
  private trashOf = 0;
  /** Nodes below it were there at the checkpoint: what they were must be kept. */
  private firstNew = FIRST_NODE;
  /** Already in the trash with what they were then. */
  private kept = new Set<number>();

  constructor(
    readonly files: Files,
    readonly paths: TreePaths,
    private readonly map: FileMap,
  ) {
    mkdirSync(paths.tree, { recursive: true, mode: 0o755 });
    for (const part of parts) {
      mkdirSync(path.join(paths.state, part), { recursive: true, mode: 0o700 });
    }
    this.root = files.openFolder(paths.tree);
    this.state = Object.fromEntries(
      parts.map((part) => [part, files.openFolder(path.join(paths.state, part))]),
    ) as Record<Part, number>;
    if (files.stat(this.root, null)!.dev !== files.stat(this.state.trash, null)!.dev) {
      throw ntsError('NTS_ERR_FILE_WRITE', {
        file: paths.tree,
        why: `it must be in one file system with ${paths.state}`,
      });
    }
  }

  get rootFd(): number {
    return this.root;
  }

  stateFd(part: Part): number {
    return this.state[part];
  }

  /** A new interval begins after checkpoint `sequence`. */
  begin(sequence: number, firstNew: number): void {
    this.trashOf = sequence;
    this.firstNew = firstNew;
    this.kept.clear();
    if (this.trashFolder !== null) this.files.close(this.trashFolder);
    this.trashFolder = null;
  }

  private trash(): number {
    if (this.trashFolder !== null) return this.trashFolder;
    const name = String(this.trashOf);
    if (!this.files.stat(this.state.trash, name)) {
      this.files.makeFolder(this.state.trash, name, 0o700);
    }
    return (this.trashFolder = this.files.open(this.state.trash, name, O_RDONLY | O_DIRECTORY));
  }

  /** What was there at the checkpoint and is not in the trash yet. */
  private mustKeep(node: Node): boolean {
    return node.id < this.firstNew && !this.kept.has(node.id);
  }

  /** Where the map's name is on the disk. */
  spot(parent: number, name: string): Spot {
    if (name.startsWith(':')) {
      return { folder: this.state.streams, name: diskName(`${parent}${name}`) };
    }
    return { folder: this.folder(parent), name: diskName(name) };
  }

  private spotOf(node: Node): Spot {
    const [place] = this.map.names(node);
    if (!place) throw this.wrong(node, 'has no name');
    return this.spot(place.parent, place.name);
  }

  private wrong(node: Node, what: string): Error {
    return ntsError('NTS_ERR_REPL_APPLY', {
      what: `${path.join(this.paths.tree, this.map.describe(node).replaceAll('\\', '/'))} ${what}`,
    });
  }

  folder(id: number): number {
    if (id === TOP) return this.root;
    if (id === ORPHANS) return this.state.orphans;
    const open = this.openFolders.get(id);
    if (open !== undefined) return open;
    const node = this.map.get(id);
    if (!node) throw ntsError('NTS_ERR_INTERNAL', { what: `folder ${id} is unknown` });
    const { folder, name } = this.spotOf(node);
    const fd = this.files.open(folder, name, O_RDONLY | O_DIRECTORY);
    this.verify(node, fd);
    this.remember(this.openFolders, id, fd, OPEN_FOLDERS);
    return fd;
  }

  private verify(node: Node, fd: number): void {
    const { ino } = this.files.stat(fd, null)!;
    if (ino === node.ino) return;
    this.files.close(fd);
    throw this.wrong(node, 'was replaced by somebody else');
  }

  private remember(cache: Map<number, number>, id: number, fd: number, most: number): void {
    if (cache.size >= most) {
      const [oldest] = cache;
      cache.delete(oldest![0]);
      this.files.close(oldest![1]);
    }
    cache.set(id, fd);
  }

  /** Its data, for reading and writing; null: it has none here (a symbolic link, a device ...). */
  file(node: Node): number | null {
    const open = this.openFiles.get(node.id);
    if (open !== undefined) return open;
    if (node.isFolder || shapeOf(node).kind !== 'file') return null;
    const { folder, name } = this.spotOf(node);
    const fd = this.files.open(folder, name, O_RDWR);
    this.verify(node, fd);
    this.remember(this.openFiles, node.id, fd, OPEN_FILES);
    return fd;
  }

  forget(id: number): void {
    for (const cache of [this.openFiles, this.openFolders]) {
      const fd = cache.get(id);
      if (fd === undefined) continue;
      cache.delete(id);
      this.files.close(fd);
    }
  }

  /** The node gets its inode, and the name. */
  create(node: Node, parent: number, name: string): void {
    const { folder, name: disk } = this.spot(parent, name);
    this.make(node, folder, disk);
  }

  private make(node: Node, folder: number, name: Name): void {
    const shape: Shape = node.isFolder ? { kind: 'folder' } : shapeOf(node);
    switch (shape.kind) {
      case 'folder':
        this.files.makeFolder(folder, name, 0o755);
        break;
      case 'symlink':
        this.files.symlink(shape.target, folder, name);
        break;
      case 'special':
        try {
          this.files.makeNode(folder, name, shape.type | 0o644, shape.major, shape.minor);
        } catch (error) {
          // Only root may make devices: an empty file keeps the place.
          if (!isCode(error, 'EPERM')) throw error;
          this.files.close(this.files.open(folder, name, O_RDWR | O_CREAT | O_EXCL, 0o644));
        }
        break;
      case 'file': {
        const fd = this.files.open(folder, name, O_RDWR | O_CREAT | O_EXCL, 0o644);
        node.ino = this.files.stat(fd, null)!.ino;
        this.forget(node.id);
        this.remember(this.openFiles, node.id, fd, OPEN_FILES);
        return;
      }
    }
    node.ino = this.files.stat(folder, name)!.ino;
  }

  /**
   * The node's inode becomes one of another shape, under all its names. What it was is kept; the caller
   * has told the map that all its names change.
   */
  reshape(node: Node): void {
    const spots = this.map.names(node).map(({ parent, name }) => this.spot(parent, name));
    const [first] = spots;
    if (!first) throw this.wrong(node, 'has no name');
    this.forget(node.id);
    if (this.mustKeep(node)) {
      this.files.link(first.folder, first.name, this.trash(), String(node.id));
      this.kept.add(node.id);
    }
    const beside = `${node.id}.new`;
    this.discard(this.state.pins, beside);
    this.make(node, this.state.pins, beside);
    for (const [i, { folder, name }] of spots.entries()) {
      const last = i === spots.length - 1;
      const from = last ? beside : `${node.id}.link`;
      if (!last) {
        this.discard(this.state.pins, from);
        this.files.link(this.state.pins, beside, this.state.pins, from);
      }
      this.files.rename(this.state.pins, from, folder, name);
    }
  }

  private discard(folder: number, name: Name): void {
    if (this.files.stat(folder, name)) this.files.unlink(folder, name);
  }

  /** Another name; `victim` has it now and loses it, `isLast`: it has no other. */
  link(node: Node, parent: number, name: string, victim: Node | null, isLast: boolean): void {
    const from = this.spotOf(node);
    const to = this.spot(parent, name);
    if (!victim) {
      this.files.link(from.folder, from.name, to.folder, to.name);
      return;
    }
    this.keep(victim, to, isLast);
    const beside = `${node.id}.link`;
    this.discard(this.state.pins, beside);
    this.files.link(from.folder, from.name, this.state.pins, beside);
    this.files.rename(this.state.pins, beside, to.folder, to.name);
  }

  /** A copy by reference of what is about to lose its last name. */
  private keep(node: Node, at: Spot, isLast: boolean): void {
    if (!isLast) return;
    this.forget(node.id);
    if (!this.mustKeep(node)) return;
    this.files.link(at.folder, at.name, this.trash(), String(node.id));
    this.kept.add(node.id);
  }

  /** From one name to another. Readers see the old or the new file under the new name, never none. */
  move(from: Spot, to: Spot, victim: Node | null, isLast: boolean): void {
    if (!victim) {
      this.files.rename(from.folder, from.name, to.folder, to.name);
    } else if (victim.isFolder) {
      // A folder has no second name by which to keep it: it changes places, and goes from there.
      this.files.rename(from.folder, from.name, to.folder, to.name, RENAME_EXCHANGE);
      this.dispose(victim, from);
    } else {
      this.keep(victim, to, isLast);
      this.files.rename(from.folder, from.name, to.folder, to.name);
    }
  }

  /** One name of several goes. */
  unlink(at: Spot): void {
    this.files.unlink(at.folder, at.name);
  }

  /** The last name goes, and the node with it. */
  dispose(node: Node, at: Spot): void {
    this.forget(node.id);
    if (this.mustKeep(node)) {
      this.files.rename(at.folder, at.name, this.trash(), String(node.id));
      this.kept.add(node.id);
    } else if (node.isFolder) this.files.removeFolder(at.folder, at.name);
    else this.files.unlink(at.folder, at.name);
  }

  write(node: Node, offset: number, data: Uint8Array): void {
    const fd = this.file(node);
    if (fd !== null) this.files.write(fd, data, offset);
  }

  truncate(node: Node, size: number): void {
    const fd = this.file(node);
    if (fd !== null) this.files.truncate(fd, size);
  }

  zero(node: Node, offset: number, length: number): void {
    const fd = this.file(node);
    if (fd !== null) this.files.zero(fd, offset, length);
  }

  read(node: Node, offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const fd = this.file(node);
    if (fd === null) return bytes.subarray(0, 0);
    return bytes.subarray(0, this.files.read(fd, bytes, 0, length, offset));
  }

  /** Owner, mode, times and extended attributes as the node has them. */
  dress(node: Node, what: Dress): void {
    const { folder, name } = this.spotOf(node);
    dress(this.files, node, folder, name, what);
  }

  /** What changed since the checkpoint is on the disk. */
  sync(journal: Journal): void {
    const few = journal.names.size === 0 && journal.nodes.size <= SYNC_FILES;
    const fds = few ? [...journal.nodes.keys()].map((id) => this.descriptor(id)) : [null];
    // Other programs' files are in the same file system: to wait for all of them can take long.
    if (fds.includes(null)) this.syncAll();
    else for (const fd of fds) this.files.sync(fd!);
  }

  private descriptor(id: number): number | null {
    const node = this.map.get(id);
    if (!node) return null;
    return node.isFolder ? this.folder(id) : this.file(node);
  }

  /** Everything that was done is on the disk. */
  syncAll(): void {
    this.files.syncAll(this.root);
  }

  closeAll(): void {
    for (const cache of [this.openFiles, this.openFolders]) {
      for (const fd of cache.values()) this.files.close(fd);
      cache.clear();
    }
  }

  close(): void {
    this.closeAll();
    if (this.trashFolder !== null) this.files.close(this.trashFolder);
    for (const fd of [this.root, ...Object.values(this.state)]) this.files.close(fd);
  }
}

export interface Dress {
  readonly owner?: boolean;
  readonly times?: boolean;
  /** Those that changed, by name; true: all. */
  readonly attributes?: ReadonlySet<string> | true;
}

/** What Linux or this user refuses is kept in the map and nowhere else. */
function lenient(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ERANGE', 'E2BIG', 'ENODATA', 'EINVAL')) {
      throw error;
    }
  }
}

export function dress(files: Files, node: Node, folder: number, name: Name, what: Dress): void {
  if (node.kind === Kind.stream) return;
  const owner = what.owner ? ownerOf(node) : null;
  const symlink = !node.isFolder && shapeOf(node).kind === 'symlink';
  if (owner) {
    const { uid, gid, mode } = owner;
    lenient(() => files.chown(folder, name, uid, gid));
    // After chown, which takes set-ID bits away.
    if (!symlink) lenient(() => files.chmod(folder, name, mode));
  }
  if (what.attributes && !symlink) dressAttributes(files, node, folder, name, what.attributes);
  if (what.times && node.write !== 0n) {
    const access = node.access === 0n ? node.write : node.access;
    lenient(() => files.utimes(folder, name, access - FILETIME_1970, node.write - FILETIME_1970));
  }
}

function dressAttributes(
  files: Files,
  node: Node,
  folder: number,
  name: Name,
  changed: ReadonlySet<string> | true,
): void {
  const wanted = new Map(
    decodeEa(node.ea)
      .filter((ea) => isLinuxAttribute(ea.name))
      .map((ea) => [ea.name, ea.value]),
  );
  const names =
    changed === true
      ? new Set([...wanted.keys(), ...files.listXattr(folder, name).filter(isLinuxAttribute)])
      : [...changed].filter(isLinuxAttribute);
  for (const one of names) {
    const attribute = Buffer.from(one, 'latin1');
    lenient(() => files.setXattr(folder, name, attribute, wanted.get(one) ?? null));
  }
}
