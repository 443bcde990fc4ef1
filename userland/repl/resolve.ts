/**
 * Which node and which place a record is about, and what happens where that is not as it must be.
 *
 * Identity decides: a record is about the node of its FileId, and its path must agree. Where it does not,
 * the backup is not what the primary was, and the record is refused (NTS_ERR_REPL_APPLY), except inside of
 * a bracket of the set: there records may be missing before this one, so that what is not known is left
 * out, what is in the way goes to the orphans, and the synchronisation in the bracket mends the rest.
 */
import { ntsError } from '../common/errors.js';
import type { OpenBrackets } from './brackets.js';
import { REPL_FLAG_REPLACE, REPL_FLAG_STREAM } from './codec.js';
import { Edits } from './edits.js';
import type { FileMap } from './map.js';
import { keepable, splitPath } from './names.js';
import { Kind, type Node, ORPHANS, type Place, TOP, isCopyName } from './node.js';
import type { Metadata } from './payload.js';
import { type Batch, nameRecord } from './record.js';
import type { Tree } from './tree.js';
import type { Difference } from './verify.js';

export interface ApplyOptions {
  /** The folder of a set below the tree. */
  readonly folderOf: (setId: number) => string;
  readonly onVerify: (difference: Difference) => void;
  /** An inode was exchanged; the old one is kept. */
  readonly onReshape: (node: Node) => void;
}

export class Resolver {
  protected readonly edits: Edits;
  /** Records about files that are not known. */
  skipped = 0;

  constructor(
    protected readonly map: FileMap,
    protected readonly tree: Tree | null,
    readonly open: OpenBrackets,
    protected readonly options: ApplyOptions,
  ) {
    this.edits = new Edits(map, tree, options.onReshape);
  }

  protected isLenient(batch: Batch, row: number): boolean {
    return this.open.covers(batch.set(row));
  }

  /** Throws, unless records may be missing before this one. */
  protected contradiction(batch: Batch, row: number, what: string): void {
    if (this.isLenient(batch, row)) return;
    throw ntsError(
      'NTS_ERR_REPL_APPLY',
      { what: `${nameRecord(batch, row)}, "${batch.name(row)}": ${what}` },
      { facts: { sequence: batch.sequence(row) } },
    );
  }

  protected root(set: number): number {
    const name = keepable(this.options.folderOf(set));
    const id = this.map.child(TOP, name);
    if (id !== 0) return id;
    return this.edits.create(set, '', Kind.folder, { parent: TOP, name }).id;
  }

  /** Where a path is; null: its folder is not there. */
  protected place(batch: Batch, row: number, path: string): Place | null {
    const place = this.placeIfThere(batch, row, path);
    if (!place && path !== '') this.contradiction(batch, row, 'its folder is not there');
    return place;
  }

  protected placeIfThere(batch: Batch, row: number, path: string): Place | null {
    const parts = splitPath(path);
    const name = parts.pop();
    if (name === undefined) return null;
    const parent = this.map.folder(this.root(batch.set(row)), parts);
    return parent === 0 ? null : { parent, name };
  }

  protected holder({ parent, name }: Place): Node | null {
    return this.map.get(this.map.child(parent, name));
  }

  protected known(batch: Batch, row: number): Node | null {
    return this.map.byKey(batch.set(row), batch.fileKey(row));
  }

  /**
   * The file or stream that a record is about; null: not known. It may have lost its last name while a
   * program or a mapping still has it, and what that writes is nobody's.
   */
  protected target(batch: Batch, row: number): Node | null {
    const file = this.known(batch, row);
    const found =
      file && (batch.flags(row) & REPL_FLAG_STREAM) !== 0
        ? this.map.get(this.map.child(file.id, keepable(batch.name(row))))
        : file;
    if (!found) this.skipped += 1;
    return found;
  }

  /** The node of this record's FileId gets the name, and is made if it is new. */
  protected appear(
    batch: Batch,
    row: number,
    place: Place,
    kind: Kind,
    metadata: Metadata | null,
  ): Node {
    const key = batch.fileKey(row);
    const node = this.identified(batch, row, key, kind);
    const old = this.holder(place);
    if (old && old !== node) {
      this.contradiction(batch, row, 'the name is taken by another file');
      this.unname(old, place, true);
    }
    if (!node) return this.edits.create(batch.set(row), key, kind, place, metadata);
    if (old !== node) {
      this.contradiction(batch, row, `the file is there as "${this.map.describe(node)}"`);
      this.putAt(node, place);
    } else this.contradiction(batch, row, 'the file is there already');
    return node;
  }

  /** Its folder is not known yet: until a listing or a rename says where it is, it is an orphan. */
  protected appearNowhere(batch: Batch, row: number, kind: Kind, metadata: Metadata): Node {
    const key = batch.fileKey(row);
    const node = this.identified(batch, row, key, kind);
    if (node) return node;
    const place = { parent: ORPHANS, name: String(this.map.nextId) };
    return this.edits.create(batch.set(row), key, kind, place, metadata);
  }

  /** The node of a FileId, if it is of that kind. One of another kind had the number before. */
  protected identified(batch: Batch, row: number, key: string, kind: Kind): Node | null {
    const node = this.map.byKey(batch.set(row), key);
    if (!node || node.kind === kind) return node;
    this.contradiction(batch, row, 'its FileId belongs to another kind of file');
    for (const place of [...this.map.names(node)]) this.unname(node, place, false);
    return null;
  }

  /** Out of the orphans or from its other place if it is a folder; else one more name. */
  protected putAt(node: Node, place: Place): void {
    const names = this.map.names(node);
    const orphan = names.find(({ parent }) => parent === ORPHANS);
    const from = orphan ?? (node.isFolder ? names[0] : undefined);
    if (!from) this.edits.link(node, place, null);
    else if (node.isFolder && this.edits.isInside(place.parent, node)) {
      // Its new folder was below it; that one's own place will be told.
      this.edits.unhook(place.parent, node);
      this.edits.move(node, from, place, null);
    } else this.edits.move(node, from, place, null);
  }

  protected learnRoot(batch: Batch, row: number, metadata: Metadata | null): Node {
    const root = this.map.get(this.root(batch.set(row)))!;
    const key = batch.fileKey(row);
    if (root.key !== key) this.map.setKey(root, key);
    if (metadata) this.edits.describe(root, metadata);
    return root;
  }

  /** The name of a node that a record says; inside of a bracket any that it has. */
  protected ownName(batch: Batch, row: number, node: Node): Place | null {
    const place = this.place(batch, row, batch.name(row));
    if (place && this.map.child(place.parent, place.name) === node.id) return place;
    this.contradiction(batch, row, `the file is "${this.map.describe(node)}"`);
    const names = this.map.names(node);
    return node.isFolder || names[0]?.parent === ORPHANS ? (names[0] ?? null) : null;
  }

  /** Who has the name that a rename or link gives. */
  protected victim(batch: Batch, row: number, to: Place): Node | null {
    const victim = this.holder(to);
    if (!victim) return null;
    if ((batch.flags(row) & REPL_FLAG_REPLACE) === 0 && victim !== this.known(batch, row)) {
      this.contradiction(batch, row, 'the new name is taken');
    }
    const full =
      victim.isFolder && this.map.children(victim.id).some(({ name }) => !isStream(name));
    if (full) this.contradiction(batch, row, 'the folder that it replaces is not empty');
    return victim;
  }

  /**
   * A name is gone. If it was the last one the node goes too; inside of a bracket, if its file may live on
   * (`mayLive`), it waits among the orphans.
   */
  protected unname(node: Node, place: Place, mayLive: boolean): void {
    if (this.map.names(node).length > 1) {
      this.edits.unlink(node, place);
      return;
    }
    if (mayLive && this.open.covers(node.set)) {
      if (place.parent === ORPHANS) return;
      this.edits.move(node, place, { parent: ORPHANS, name: String(node.id) }, null);
      return;
    }
    if (node.isFolder && place.parent !== ORPHANS && this.map.children(node.id).length > 0) {
      // Out of sight at once, then piece by piece.
      const aside = { parent: ORPHANS, name: String(node.id) };
      this.edits.move(node, place, aside, null);
      this.release(node);
      this.edits.destroy(node, aside);
      return;
    }
    this.edits.destroy(node, place);
  }

  /** Inside of a bracket what a folder holds that goes may have moved out of it before, without a record. */
  private release(folder: Node): void {
    if (!this.open.covers(folder.set)) return;
    for (const { name, node: id } of this.map.children(folder.id)) {
      if (!isStream(name)) this.unname(this.map.get(id)!, { parent: folder.id, name }, true);
    }
  }

  protected buryOrphans(): void {
    for (const { name, node: id } of this.map.children(ORPHANS)) {
      if (isCopyName(name)) continue;
      const node = this.map.get(id);
      if (node && !this.open.covers(node.set)) this.edits.destroy(node, { parent: ORPHANS, name });
    }
  }
}

/** A folder's children are files and folders, and named streams of its own. */
export function isStream(name: string): boolean {
  return name.startsWith(':');
}
