/**
 * Puts the tree back to a checkpoint, from whatever state a crash or later records left it in.
 *
 * The map says already how it was. Every name that changed since then is looked at, and what is found
 * there is told by its inode: what was there at the checkpoint is taken out to state/pins, what was not
 * is removed. Nothing that was there has been destroyed meanwhile (deleted nodes are in the trash), so
 * that everything is found; a folder that moved is found before what is in it. Then all is put where the
 * map has it, and the undo log's blocks, sizes and the map's metadata make it what it was. Doing it again
 * after a crash in the middle comes to the same.
 */
import { constants } from 'node:fs';
import { ntsError } from '../common/errors.js';
import type { Files, Name } from './files.js';
import type { FileMap, NameBefore } from './map.js';
import { diskName } from './names.js';
import { Node, ORPHANS, TOP } from './node.js';
import type { Tree } from './tree.js';
import { Frame, type UndoReader } from './undo.js';

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;
const S_IFMT = constants.S_IFMT;
const OPEN_FOLDERS = 128;

export interface Before {
  readonly names: readonly NameBefore[];
  /** null: not there at the checkpoint. */
  readonly nodes: ReadonlyMap<number, Buffer | null>;
}

export class Rollback {
  private readonly files: Files;
  private readonly pins: number;
  /** Inodes of nodes that were there at the checkpoint. */
  private readonly known = new Map<number, number>();
  private readonly inos = new Map<number, number>();
  private readonly pinned = new Set<number>();
  private readonly changed = new Set<string>();
  private readonly folders = new Map<number, number>();

  /** `inos`: of nodes whose row has another machine's; a restored copy. */
  constructor(
    private readonly map: FileMap,
    private readonly tree: Tree,
    private readonly before: Before,
    inos: ReadonlyMap<number, number> | null,
  ) {
    this.files = tree.files;
    this.pins = tree.stateFd('pins');
    for (const [id, row] of before.nodes) {
      if (!row) continue;
      const ino = inos?.get(id) ?? Node.decode(id, row).ino;
      this.inos.set(id, ino);
      this.known.set(ino, id);
    }
    for (const { parent, name } of before.names) this.changed.add(`${parent}/${name}`);
  }

  /** `trash`: the name of the interval's folder in the trash. */
  run(undo: UndoReader | null, trash: string): void {
    this.tree.closeAll();
    try {
      this.takePins();
      this.takeTrash(trash);
      this.detach();
      this.attach();
    } finally {
      this.closeFolders();
    }
    const nodes = [...this.inos].map(([id, ino]) => {
      const node = this.map.get(id)!;
      if (node.ino !== ino) {
        this.map.change(node);
        node.ino = ino;
      }
      return node;
    });
    if (undo) this.data(undo);
    for (const node of nodes) this.tree.dress(node, { owner: true, times: true, attributes: true });
    this.tree.closeAll();
  }

  /** What an attempt before this one had taken out. */
  private takePins(): void {
    for (const bytes of this.files.list(this.pins)) {
      const name = bytes.toString('latin1');
      const id = Number(name);
      const ino = this.files.stat(this.pins, name)!.ino;
      if (Number.isInteger(id) && this.inos.get(id) === ino) this.pinned.add(id);
      else this.remove(this.pins, name);
    }
  }

  private takeTrash(name: string): void {
    const trash = this.tree.stateFd('trash');
    if (!this.files.stat(trash, name)) return;
    const folder = this.files.open(trash, name, DIRECTORY);
    try {
      for (const bytes of this.files.list(folder)) this.take(folder, bytes);
    } finally {
      this.files.close(folder);
    }
    this.files.removeFolder(trash, name);
  }

  /** Whatever has this name in this folder: to the pins, or away. */
  private take(folder: number, name: Name): void {
    const stat = this.files.stat(folder, name);
    if (!stat) return;
    const id = this.known.get(stat.ino);
    if (id === undefined) {
      this.remove(folder, name);
    } else if (this.pinned.has(id)) {
      this.files.unlink(folder, name);
    } else {
      this.files.rename(folder, name, this.pins, String(id));
      this.pinned.add(id);
    }
  }

  /** What was not there at the checkpoint; what was, and is inside of it, is taken out. */
  private remove(folder: number, name: Name): void {
    if ((this.files.stat(folder, name)!.mode & S_IFMT) !== constants.S_IFDIR) {
      this.files.unlink(folder, name);
      return;
    }
    const inner = this.files.open(folder, name, DIRECTORY);
    try {
      for (const bytes of this.files.list(inner)) this.take(inner, bytes);
    } finally {
      this.files.close(inner);
    }
    this.files.removeFolder(folder, name);
  }

  private detach(): void {
    for (let pending = this.before.names; pending.length > 0;) {
      const later: NameBefore[] = [];
      for (const one of pending) {
        const folder = this.folder(one.parent, one.name);
        if (folder === null) later.push(one);
        else this.take(folder, this.disk(one.parent, one.name));
      }
      // What is left is in folders that were made after the checkpoint, and are gone with what they held.
      if (later.length === pending.length) break;
      pending = later;
    }
  }

  private disk(parent: number, name: string): Name {
    return diskName(name.startsWith(':') ? `${parent}${name}` : name);
  }

  /** The folder of a name; null: not found yet. */
  private folder(parent: number, name: string): number | null {
    if (name.startsWith(':')) return this.tree.stateFd('streams');
    if (parent === TOP) return this.tree.rootFd;
    if (parent === ORPHANS) return this.tree.stateFd('orphans');
    const open = this.folders.get(parent);
    if (open !== undefined) return open;
    if (this.pinned.has(parent)) return this.keep(parent, this.pins, String(parent));
    const node = this.map.get(parent);
    const place = node ? this.map.names(node)[0] : undefined;
    if (!place || this.changed.has(`${place.parent}/${place.name}`)) return null;
    const above = this.folder(place.parent, place.name);
    return above === null ? null : this.keep(parent, above, this.disk(place.parent, place.name));
  }

  private keep(id: number, folder: number, name: Name): number {
    const fd = this.files.open(folder, name, DIRECTORY);
    if (this.folders.size >= OPEN_FOLDERS) this.closeFolders();
    this.folders.set(id, fd);
    return fd;
  }

  private closeFolders(): void {
    for (const fd of this.folders.values()) this.files.close(fd);
    this.folders.clear();
  }

  private attach(): void {
    const done = new Set<string>();
    for (const one of this.before.names) this.put(one, done);
    for (const id of this.pinned) {
      if (!this.map.get(id)!.isFolder) this.files.unlink(this.pins, String(id));
    }
    this.pinned.clear();
  }

  private put({ parent, name, node: id }: NameBefore, done: Set<string>): void {
    const key = `${parent}/${name}`;
    if (id === 0 || done.has(key)) return;
    done.add(key);
    const node = this.map.get(id);
    if (!node) throw this.lost(name);
    const folder = this.home(parent, name, done);
    const disk = this.disk(parent, name);
    if (!this.pinned.has(id)) {
      this.linkFromOther(node, folder, disk, done);
    } else if (node.isFolder) {
      this.files.rename(this.pins, String(id), folder, disk);
      this.pinned.delete(id);
    } else this.files.link(this.pins, String(id), folder, disk);
  }

  /** The name went and the file stayed, under another one that did not change. */
  private linkFromOther(node: Node, folder: number, disk: Name, done: Set<string>): void {
    for (const { parent, name } of this.map.names(node)) {
      if (this.changed.has(`${parent}/${name}`)) continue;
      const other = this.home(parent, name, done);
      const from = this.disk(parent, name);
      if (this.files.stat(other, from)?.ino !== this.inos.get(node.id)) continue;
      this.files.link(other, from, folder, disk);
      return;
    }
    throw this.lost(String(disk));
  }

  private lost(name: string): Error {
    return ntsError('NTS_ERR_REPL_APPLY', {
      what: `${this.tree.paths.tree}: "${name}" cannot be found; was it changed by somebody else?`,
    });
  }

  /** The folder of a name, itself put back first. */
  private home(parent: number, name: string, done: Set<string>): number {
    if (!name.startsWith(':') && this.pinned.has(parent)) {
      const place = this.map.names(this.map.get(parent)!)[0]!;
      this.put({ ...place, node: parent }, done);
    }
    const folder = this.attached(parent, name, done);
    if (folder === null)
      throw ntsError('NTS_ERR_INTERNAL', { what: `folder ${parent} is nowhere` });
    return folder;
  }

  private attached(parent: number, name: string, done: Set<string>): number | null {
    if (name.startsWith(':') || parent === TOP || parent === ORPHANS)
      return this.folder(parent, name);
    const open = this.folders.get(parent);
    if (open !== undefined) return open;
    const node = this.map.get(parent);
    const place = node ? this.map.names(node)[0] : undefined;
    if (!place) return null;
    const above = this.home(place.parent, place.name, done);
    return this.keep(parent, above, this.disk(place.parent, place.name));
  }

  /** Blocks and sizes, of files that were there. */
  private data(undo: UndoReader): void {
    const sizes = new Map<number, number>();
    // What was kept and then did not change stays alone, since a write would change its time.
    const find = (id: number): Node | null => (this.before.nodes.get(id) ? this.map.get(id) : null);
    for (const frame of undo.frames()) {
      if (frame.type === Frame.size) sizes.set(frame.node, frame.size);
      else if (frame.type === Frame.data) {
        const node = find(frame.node);
        const fd = node ? this.tree.file(node) : null;
        if (fd === null) continue;
        if (frame.bytes) this.files.write(fd, frame.bytes, frame.offset);
        else this.zero(fd, frame.offset, frame.length);
      }
    }
    for (const [id, size] of sizes) {
      const node = find(id);
      const fd = node ? this.tree.file(node) : null;
      if (fd !== null) this.files.truncate(fd, size);
    }
  }

  private zero(fd: number, offset: number, length: number): void {
    // A hole beyond the end would be none.
    const { size } = this.files.stat(fd, null)!;
    if (size < offset + length) this.files.truncate(fd, offset + length);
    this.files.zero(fd, offset, length);
  }
}
