/**
 * What each record does to the map and, in the same step, to the tree.
 *
 * Identity decides: a record is about the node of its FileId, and its path must agree. Where it does not,
 * the backup is not what the primary was, and the record is refused (NTS_ERR_REPL_APPLY), except inside of
 * a bracket of the set: there records may be missing before this one, so that what is not known is left
 * out, what is in the way goes to the orphans, and the synchronisation in the bracket mends the rest.
 *
 * Without a tree only the map changes: the way to learn what a batch that was cut off by a crash may have
 * touched.
 */
import { ntsError } from '../common/errors.js';
import { type OpenBrackets, eventOf } from './brackets.js';
import {
  REPL_FLAG_DIRECTORY,
  REPL_FLAG_ENTERED,
  REPL_FLAG_LAST_LINK,
  REPL_FLAG_LEFT,
  REPL_FLAG_REPLACE,
  REPL_FLAG_STREAM,
  REPL_FLAG_SUPERSEDE,
  REPL_FLAG_SYNC,
  REPL_FLAG_VERIFY,
  ReplRecordType,
} from './codec.js';
import { Edits } from './edits.js';
import type { FileMap } from './map.js';
import { keepable, splitPath } from './names.js';
import { Kind, type Node, ORPHANS, type Place, TOP } from './node.js';
import {
  type Metadata,
  decodeBasic,
  decodeEa,
  decodeEntries,
  decodeMetadata,
  mergeEa,
} from './payload.js';
import { type Batch, nameRecord } from './record.js';
import { mergeSecurity } from './security.js';
import type { Tree } from './tree.js';
import { type Difference, differences } from './verify.js';

const FILE_ATTRIBUTE_DIRECTORY = 0x10;
const FILE_ATTRIBUTE_SPARSE = 0x200;

export interface ApplyOptions {
  /** The folder of a set below the tree. */
  readonly folderOf: (setId: number) => string;
  readonly onVerify: (difference: Difference) => void;
  /** An inode was exchanged; the old one is kept. */
  readonly onReshape: (node: Node) => void;
}

export class Applier {
  private readonly edits: Edits;
  /** Writes to files that are not known, inside of a bracket. */
  skipped = 0;

  constructor(
    private readonly map: FileMap,
    private readonly tree: Tree | null,
    readonly open: OpenBrackets,
    private readonly options: ApplyOptions,
  ) {
    this.edits = new Edits(map, tree, options.onReshape);
  }

  record(batch: Batch, row: number): void {
    const event = eventOf(batch, row);
    if (event?.kind === 'open') this.open.note(event);
    this.act(batch, row);
    if (event?.kind === 'close') {
      this.open.note(event);
      this.buryOrphans();
    }
  }

  /** Times that writes left behind are set on the tree. */
  finish(): void {
    this.edits.setTimes();
  }

  private act(batch: Batch, row: number): void {
    switch (batch.type(row) as ReplRecordType) {
      case ReplRecordType.create:
        return this.create(batch, row);
      case ReplRecordType.overwrite:
        return this.overwrite(batch, row);
      case ReplRecordType.write:
        return this.write(batch, row);
      case ReplRecordType.setSize:
      case ReplRecordType.setAllocation:
      case ReplRecordType.zero:
        return this.resize(batch, row);
      case ReplRecordType.rename:
        return this.rename(batch, row);
      case ReplRecordType.link:
        return this.link(batch, row);
      case ReplRecordType.delete:
        return this.delete(batch, row);
      case ReplRecordType.setBasic:
      case ReplRecordType.setSecurity:
      case ReplRecordType.setEa:
      case ReplRecordType.setReparse:
      case ReplRecordType.deleteReparse:
      case ReplRecordType.setSparse:
      case ReplRecordType.setCompression:
        return this.attribute(batch, row);
      case ReplRecordType.deleteStream:
      case ReplRecordType.renameStream:
        return this.stream(batch, row);
      case ReplRecordType.folder:
        return this.folder(batch, row);
      case ReplRecordType.file:
        return this.file(batch, row);
      case ReplRecordType.pad:
      case ReplRecordType.aborted:
      case ReplRecordType.start:
      case ReplRecordType.bookmark:
      case ReplRecordType.flush:
      case ReplRecordType.bracket:
      case ReplRecordType.touched:
      case ReplRecordType.lost:
        return;
    }
  }

  private isLenient(batch: Batch, row: number): boolean {
    return this.open.covers(batch.set(row));
  }

  /** Throws, unless records may be missing before this one. */
  private contradiction(batch: Batch, row: number, what: string): void {
    if (this.isLenient(batch, row)) return;
    throw ntsError(
      'NTS_ERR_REPL_APPLY',
      { what: `${nameRecord(batch, row)}, "${batch.name(row)}": ${what}` },
      { facts: { sequence: batch.sequence(row) } },
    );
  }

  private root(set: number): number {
    const name = keepable(this.options.folderOf(set));
    const id = this.map.child(TOP, name);
    if (id !== 0) return id;
    return this.edits.create(set, '', Kind.folder, { parent: TOP, name }).id;
  }

  /** Where a path is; null: its folder is not there. */
  private place(batch: Batch, row: number, path: string): Place | null {
    const parts = splitPath(path);
    const name = parts.pop();
    if (name === undefined) return null;
    const parent = this.map.folder(this.root(batch.set(row)), parts);
    if (parent === 0) this.contradiction(batch, row, 'its folder is not there');
    return parent === 0 ? null : { parent, name };
  }

  private holder({ parent, name }: Place): Node | null {
    return this.map.get(this.map.child(parent, name));
  }

  private known(batch: Batch, row: number): Node | null {
    return this.map.byKey(batch.set(row), batch.fileKey(row));
  }

  /** The file or stream that a record is about; null: not known, which may be. */
  private target(batch: Batch, row: number): Node | null {
    const file = this.known(batch, row);
    const found =
      file && (batch.flags(row) & REPL_FLAG_STREAM) !== 0
        ? this.map.get(this.map.child(file.id, keepable(batch.name(row))))
        : file;
    if (!found) {
      this.contradiction(batch, row, 'the file is not known');
      this.skipped += 1;
    }
    return found;
  }

  private create(batch: Batch, row: number): void {
    const metadata = decodeMetadata(batch.data(row));
    if ((batch.flags(row) & REPL_FLAG_STREAM) !== 0) {
      const owner = this.known(batch, row);
      if (!owner) return this.contradiction(batch, row, 'the file is not known');
      const place = { parent: owner.id, name: keepable(batch.name(row)) };
      const old = this.holder(place);
      if (old) {
        this.contradiction(batch, row, 'the stream is there already');
        this.edits.truncate(old, 0);
      } else this.edits.create(batch.set(row), '', Kind.stream, place);
      return;
    }
    const place = this.place(batch, row, batch.name(row));
    if (!place) {
      if (batch.name(row) === '') this.learnRoot(batch, row, metadata);
      return;
    }
    const kind = (batch.flags(row) & REPL_FLAG_DIRECTORY) !== 0 ? Kind.folder : Kind.file;
    const node = this.appear(batch, row, place, kind, metadata);
    this.edits.describe(node, metadata);
  }

  /** The node of this record's FileId gets the name, and is made if it is new. */
  private appear(
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

  /** The node of a FileId, if it is of that kind. One of another kind had the number before. */
  private identified(batch: Batch, row: number, key: string, kind: Kind): Node | null {
    const node = this.map.byKey(batch.set(row), key);
    if (!node || node.kind === kind) return node;
    this.contradiction(batch, row, 'its FileId belongs to another kind of file');
    for (const place of [...this.map.names(node)]) this.unname(node, place, false);
    return null;
  }

  /** Out of the orphans or from its other place if it is a folder; else one more name. */
  private putAt(node: Node, place: Place): void {
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

  private learnRoot(batch: Batch, row: number, metadata: Metadata | null): Node {
    const root = this.map.get(this.root(batch.set(row)))!;
    const key = batch.fileKey(row);
    if (root.key !== key) this.map.setKey(root, key);
    if (metadata) this.edits.describe(root, metadata);
    return root;
  }

  private overwrite(batch: Batch, row: number): void {
    const node = this.target(batch, row);
    if (!node) return;
    const metadata = decodeMetadata(batch.data(row));
    this.edits.truncate(node, 0);
    if (node.kind === Kind.stream) return;
    if ((batch.flags(row) & REPL_FLAG_SUPERSEDE) !== 0) this.edits.dropStreams(node);
    else if (metadata.ea.length === 0) {
      this.edits.describe(node, { ...metadata, ea: node.ea });
      return;
    }
    this.edits.describe(node, metadata);
  }

  private write(batch: Batch, row: number): void {
    const node = this.target(batch, row);
    if (!node) return;
    const data = batch.data(row);
    if ((batch.flags(row) & REPL_FLAG_VERIFY) !== 0) this.verify(batch, row, node, data);
    else {
      const time = (batch.flags(row) & REPL_FLAG_SYNC) !== 0 ? null : batch.time(row);
      this.edits.write(node, batch.offset(row), data, time);
    }
  }

  private verify(batch: Batch, row: number, node: Node, data: Buffer): void {
    if (!this.tree) return;
    const offset = batch.offset(row);
    const there = this.tree.read(node, offset, data.length);
    const blocks = differences(offset, data, there);
    if (blocks.length === 0) return;
    this.options.onVerify({
      sequence: batch.sequence(row),
      setId: batch.set(row),
      fileId: Buffer.from(batch.fileId(row)),
      path: this.map.describe(node),
      blocks,
    });
  }

  private resize(batch: Batch, row: number): void {
    const node = this.target(batch, row);
    if (!node) return;
    const offset = batch.offset(row);
    const time = batch.time(row);
    switch (batch.type(row)) {
      case ReplRecordType.setSize:
        return this.edits.truncate(node, offset, time);
      case ReplRecordType.setAllocation:
        if (offset < node.size) this.edits.truncate(node, offset, time);
        return;
      default:
        this.edits.zero(node, offset, batch.range(row), time);
    }
  }

  private rename(batch: Batch, row: number): void {
    const flags = batch.flags(row);
    if ((flags & REPL_FLAG_LEFT) !== 0) return this.leave(batch, row);
    const to = this.place(batch, row, batch.data(row).toString('utf16le'));
    if (!to) return this.contradiction(batch, row, 'its new folder is not there');
    if ((flags & REPL_FLAG_ENTERED) !== 0) return this.enter(batch, row, to);
    const node = this.known(batch, row);
    if (!node) {
      this.contradiction(batch, row, 'the file is not known');
      return this.enter(batch, row, to);
    }
    const from = this.ownName(batch, row, node);
    if (!from) return this.enter(batch, row, to);
    if (from.parent === to.parent && from.name === to.name) return;
    if (node.isFolder && this.edits.isInside(to.parent, node)) {
      return this.contradiction(batch, row, 'a folder cannot be renamed into itself');
    }
    const victim = this.victim(batch, row, to);
    if (victim === node) this.edits.unlink(node, from);
    else if (victim && this.isLenient(batch, row)) {
      this.unname(victim, to, true);
      this.edits.move(node, from, to, null);
    } else this.edits.move(node, from, to, victim);
  }

  /** The name of a node that a record says; inside of a bracket any that it has. */
  private ownName(batch: Batch, row: number, node: Node): Place | null {
    const place = this.place(batch, row, batch.name(row));
    if (place && this.map.child(place.parent, place.name) === node.id) return place;
    this.contradiction(batch, row, `the file is "${this.map.describe(node)}"`);
    const names = this.map.names(node);
    return node.isFolder || names[0]?.parent === ORPHANS ? (names[0] ?? null) : null;
  }

  /** Who has the name that a rename or link gives. */
  private victim(batch: Batch, row: number, to: Place): Node | null {
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

  /** From outside of the set: what it holds follows. */
  private enter(batch: Batch, row: number, to: Place): void {
    const kind = (batch.flags(row) & REPL_FLAG_DIRECTORY) !== 0 ? Kind.folder : Kind.file;
    const key = batch.fileKey(row);
    const node = this.identified(batch, row, key, kind);
    const victim = this.holder(to);
    if (victim === node && node) return;
    if (victim) this.unname(victim, to, true);
    if (node) this.putAt(node, to);
    else this.edits.create(batch.set(row), key, kind, to);
  }

  private leave(batch: Batch, row: number): void {
    const node = this.known(batch, row);
    if (!node) return this.contradiction(batch, row, 'the file is not known');
    const place = this.ownName(batch, row, node);
    if (place) this.unname(node, place, false);
  }

  private link(batch: Batch, row: number): void {
    const to = this.place(batch, row, batch.data(row).toString('utf16le'));
    if (!to) return this.contradiction(batch, row, 'its new folder is not there');
    const node = this.known(batch, row);
    if (!node || (batch.flags(row) & REPL_FLAG_ENTERED) !== 0) {
      if (!node && (batch.flags(row) & REPL_FLAG_ENTERED) === 0) {
        this.contradiction(batch, row, 'the file is not known');
      }
      return this.enter(batch, row, to);
    }
    const victim = this.victim(batch, row, to);
    if (victim === node) return;
    if (this.map.names(node)[0]?.parent === ORPHANS || (victim && this.isLenient(batch, row))) {
      if (victim) this.unname(victim, to, true);
      return this.putAt(node, to);
    }
    this.edits.link(node, to, victim);
  }

  private delete(batch: Batch, row: number): void {
    const node = this.known(batch, row);
    const place = this.place(batch, row, batch.name(row));
    if (!node || !place || this.map.child(place.parent, place.name) !== node.id) {
      this.contradiction(batch, row, 'the file does not have this name');
      if (node && (batch.flags(row) & REPL_FLAG_LAST_LINK) !== 0) {
        for (const one of [...this.map.names(node)]) this.unname(node, one, false);
      }
      return;
    }
    const last = (batch.flags(row) & REPL_FLAG_LAST_LINK) !== 0;
    if (node.isFolder && this.map.children(node.id).some(({ name }) => !isStream(name))) {
      this.contradiction(batch, row, 'the folder is not empty');
    }
    if (last && this.map.names(node).length > 1) {
      this.contradiction(batch, row, 'the file has other names here');
      for (const one of [...this.map.names(node)]) this.unname(node, one, false);
      return;
    }
    this.unname(node, place, !last);
  }

  /**
   * A name is gone. If it was the last one the node goes too; inside of a bracket, if its file may live on
   * (`mayLive`), it waits among the orphans.
   */
  private unname(node: Node, place: Place, mayLive: boolean): void {
    if (this.map.names(node).length > 1) return this.edits.unlink(node, place);
    if (mayLive && this.open.covers(node.set)) {
      this.edits.move(node, place, { parent: ORPHANS, name: String(node.id) }, null);
      return;
    }
    if (node.isFolder && place.parent !== ORPHANS && this.map.children(node.id).length > 0) {
      // Out of sight at once, then piece by piece.
      const aside = { parent: ORPHANS, name: String(node.id) };
      this.edits.move(node, place, aside, null);
      return this.edits.destroy(node, aside);
    }
    this.edits.destroy(node, place);
  }

  private buryOrphans(): void {
    for (const { name, node: id } of this.map.children(ORPHANS)) {
      const node = this.map.get(id);
      if (node && !this.open.covers(node.set)) this.edits.destroy(node, { parent: ORPHANS, name });
    }
  }

  private attribute(batch: Batch, row: number): void {
    const node = this.target(batch, row);
    if (!node) return;
    const data = batch.data(row);
    switch (batch.type(row)) {
      case ReplRecordType.setBasic:
        return this.edits.setBasic(node, decodeBasic(data));
      case ReplRecordType.setSecurity:
        this.map.change(node);
        node.security = mergeSecurity(node.security, data, batch.offset(row));
        return;
      case ReplRecordType.setEa: {
        const changes = decodeEa(data);
        return this.edits.setEa(node, mergeEa(node.ea, changes), changes);
      }
      case ReplRecordType.setReparse:
        return this.edits.setReparse(node, Buffer.from(data));
      case ReplRecordType.deleteReparse:
        return this.edits.setReparse(node, Buffer.alloc(0));
      case ReplRecordType.setSparse:
        this.map.change(node);
        node.sparse = batch.offset(row) !== 0;
        node.attributes = node.sparse
          ? node.attributes | FILE_ATTRIBUTE_SPARSE
          : node.attributes & ~FILE_ATTRIBUTE_SPARSE;
        return;
      default:
        this.map.change(node);
        node.compression = batch.offset(row);
    }
  }

  private stream(batch: Batch, row: number): void {
    const node = this.target(batch, row);
    if (!node) return;
    const [place] = this.map.names(node);
    if (!place) return;
    if (batch.type(row) === ReplRecordType.deleteStream) return this.edits.destroy(node, place);
    const to = { parent: place.parent, name: keepable(batch.data(row).toString('utf16le')) };
    const victim = this.holder(to);
    if (victim === node) return;
    if (victim && (batch.flags(row) & REPL_FLAG_REPLACE) === 0) {
      this.contradiction(batch, row, 'the new name is taken');
    }
    this.edits.move(node, place, to, victim);
  }

  /** What a folder contains; names that are not told are gone. */
  private folder(batch: Batch, row: number): void {
    const folder = this.folderNode(batch, row);
    if (!folder) return;
    const entries = new Map(
      decodeEntries(batch.data(row)).map((entry) => [keepable(entry.name), entry]),
    );
    for (const { name, node: id } of this.map.children(folder.id)) {
      if (isStream(name)) continue;
      const node = this.map.get(id)!;
      if (entries.get(name)?.fileId.toString('latin1') === node.key) continue;
      this.unname(node, { parent: folder.id, name }, true);
    }
    for (const [name, entry] of entries) {
      const [checked] = splitPath(entry.name);
      const place = { parent: folder.id, name: checked ?? name };
      const key = entry.fileId.toString('latin1');
      const isFolder = (entry.attributes & FILE_ATTRIBUTE_DIRECTORY) !== 0;
      const kind = isFolder ? Kind.folder : Kind.file;
      const node = this.identified(batch, row, key, kind);
      if (!node) {
        const made = this.edits.create(batch.set(row), key, kind, place);
        made.attributes = entry.attributes;
      } else if (this.holder(place) !== node) this.putAt(node, place);
    }
    if (!this.isLenient(batch, row)) this.buryOrphans();
  }

  private folderNode(batch: Batch, row: number): Node | null {
    if (batch.name(row) === '') return this.learnRoot(batch, row, null);
    const known = this.identified(batch, row, batch.fileKey(row), Kind.folder);
    if (known) return known;
    const place = this.place(batch, row, batch.name(row));
    if (!place) return null;
    const old = this.holder(place);
    if (old) this.unname(old, place, true);
    return this.edits.create(batch.set(row), batch.fileKey(row), Kind.folder, place);
  }

  /** What a file or folder is, but its data. */
  private file(batch: Batch, row: number): void {
    const metadata = decodeMetadata(batch.data(row));
    if ((batch.flags(row) & REPL_FLAG_STREAM) !== 0) {
      const owner = this.known(batch, row);
      if (!owner) return this.contradiction(batch, row, 'the file is not known');
      const place = { parent: owner.id, name: keepable(batch.name(row)) };
      const stream =
        this.holder(place) ?? this.edits.create(batch.set(row), '', Kind.stream, place);
      return this.edits.truncate(stream, metadata.size);
    }
    if (batch.name(row) === '' && !this.known(batch, row)) {
      this.learnRoot(batch, row, metadata);
      return;
    }
    const isFolder = (batch.flags(row) & REPL_FLAG_DIRECTORY) !== 0;
    const kind = isFolder ? Kind.folder : Kind.file;
    let node = this.identified(batch, row, batch.fileKey(row), kind);
    if (!node) {
      const place = this.place(batch, row, batch.name(row));
      if (!place) return;
      node = this.appear(batch, row, place, kind, metadata);
    }
    if (!node.isFolder) this.edits.truncate(node, metadata.size);
    this.edits.describe(node, metadata);
  }
}

function isStream(name: string): boolean {
  return name.startsWith(':');
}
