/**
 * What each record does to the map and, in the same step, to the tree.
 *
 * Without a tree only the map changes: the way to learn what a batch that was cut off by a crash may have
 * touched.
 */
import { CopyResolver, isOfCopy } from './apply-copy.js';
import { eventOf } from './brackets.js';
import {
  REPL_FLAG_COPY,
  REPL_FLAG_DIRECTORY,
  REPL_FLAG_ENTERED,
  REPL_FLAG_LAST_LINK,
  REPL_FLAG_LEFT,
  REPL_FLAG_PAGING,
  REPL_FLAG_REPLACE,
  REPL_FLAG_STREAM,
  REPL_FLAG_SUPERSEDE,
  REPL_FLAG_SYNC,
  REPL_FLAG_VERIFY,
  ReplBracketReason,
  ReplRecordType,
} from './codec.js';
import { keepable, splitPath } from './names.js';
import { Kind, type Node, ORPHANS, type Place } from './node.js';
import { decodeBasic, decodeEa, decodeEntries, decodeMetadata, mergeEa } from './payload.js';
import type { Batch } from './record.js';
import { mergeSecurity } from './security.js';
import { differences } from './verify.js';
import { isStream } from './resolve.js';

const FILE_ATTRIBUTE_DIRECTORY = 0x10;
const FILE_ATTRIBUTE_SPARSE = 0x200;

/** Files changed, and no record says so. */
const unseen: readonly ReplBracketReason[] = [ReplBracketReason.lost, ReplBracketReason.volume];

export class Applier extends CopyResolver {
  /** A folder's listing whose last record has not come: the FileIds by name. */
  private listing: { folder: number; keys: Map<string, string> } | null = null;

  record(batch: Batch, row: number): void {
    const event = eventOf(batch, row);
    if (event?.kind === 'open') {
      this.open.note(event);
      if (unseen.includes(event.reason)) this.dropCopies(event.set);
    }
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
      case ReplRecordType.create: {
        this.create(batch, row);
        return;
      }
      case ReplRecordType.overwrite: {
        this.overwrite(batch, row);
        return;
      }
      case ReplRecordType.write: {
        this.write(batch, row);
        return;
      }
      case ReplRecordType.setSize:
      case ReplRecordType.setAllocation:
      case ReplRecordType.zero: {
        this.resize(batch, row);
        return;
      }
      case ReplRecordType.rename: {
        this.rename(batch, row);
        return;
      }
      case ReplRecordType.link: {
        this.link(batch, row);
        return;
      }
      case ReplRecordType.delete: {
        this.delete(batch, row);
        return;
      }
      case ReplRecordType.setBasic:
      case ReplRecordType.setSecurity:
      case ReplRecordType.setEa:
      case ReplRecordType.setReparse:
      case ReplRecordType.deleteReparse:
      case ReplRecordType.setSparse:
      case ReplRecordType.setCompression: {
        this.attribute(batch, row);
        return;
      }
      case ReplRecordType.deleteStream:
      case ReplRecordType.renameStream: {
        this.stream(batch, row);
        return;
      }
      case ReplRecordType.folder: {
        this.folder(batch, row);
        return;
      }
      case ReplRecordType.file: {
        this.file(batch, row);
        return;
      }
      case ReplRecordType.touched: {
        this.dropCopy(batch, row);
        return;
      }
      case ReplRecordType.start: {
        this.dropCopies(0);
        return;
      }
      case ReplRecordType.pad:
      case ReplRecordType.aborted:
      case ReplRecordType.bookmark:
      case ReplRecordType.flush:
      case ReplRecordType.bracket:
      case ReplRecordType.lost:
        return;
    }
  }

  private create(batch: Batch, row: number): void {
    const metadata = decodeMetadata(batch.data(row));
    if ((batch.flags(row) & REPL_FLAG_STREAM) !== 0) {
      const owner = this.known(batch, row);
      if (!owner) {
        this.contradiction(batch, row, 'the file is not known');
        return;
      }
      const place = { parent: owner.id, name: keepable(batch.name(row)) };
      const old = this.holder(place);
      if (old) {
        this.contradiction(batch, row, 'the stream is there already');
        this.edits.truncate(old, 0);
      } else this.edits.create(batch.set(row), '', Kind.stream, place);
      return;
    }
    if (batch.name(row) === '') {
      this.learnRoot(batch, row, metadata);
      return;
    }
    const place = this.place(batch, row, batch.name(row));
    const kind = (batch.flags(row) & REPL_FLAG_DIRECTORY) !== 0 ? Kind.folder : Kind.file;
    const node = place
      ? this.appear(batch, row, place, kind, metadata)
      : this.appearNowhere(batch, row, kind, metadata);
    this.edits.describe(node, metadata);
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
    const flags = batch.flags(row);
    const isVerify = (flags & REPL_FLAG_VERIFY) !== 0;
    const isCopy = isOfCopy(batch, row) && !isVerify;
    const node = isCopy ? this.copyOf(batch, row) : this.target(batch, row);
    if (!node) return;
    const offset = batch.offset(row);
    let data = batch.data(row);
    if (isVerify) {
      this.verify(batch, row, node, data);
      return;
    }
    // A page of a mapping that was captured before the end of file moved down, and has the higher number. Inside of a bracket
    // the end may be one that is not known yet.
    if ((flags & REPL_FLAG_PAGING) !== 0 && !this.open.covers(batch.set(row))) {
      data = data.subarray(0, Math.max(0, node.size - offset));
    }
    const time = (flags & REPL_FLAG_SYNC) !== 0 ? null : batch.time(row);
    this.edits.write(node, offset, data, time);
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
      case ReplRecordType.setSize: {
        this.edits.truncate(node, offset, time);
        return;
      }
      case ReplRecordType.setAllocation:
        if (offset < node.size) this.edits.truncate(node, offset, time);
        return;
      default:
        this.edits.zero(node, offset, batch.range(row), time);
    }
  }

  private rename(batch: Batch, row: number): void {
    const flags = batch.flags(row);
    if ((flags & REPL_FLAG_LEFT) !== 0) {
      this.leave(batch, row, false);
      return;
    }
    const to = this.place(batch, row, batch.data(row).toString('utf16le'));
    if (!to) {
      this.contradiction(batch, row, 'its new folder is not there');
      // It has gone from here in any case; where to, that folder's listing will tell.
      if ((flags & REPL_FLAG_ENTERED) === 0) this.leave(batch, row, true);
      return;
    }
    if ((flags & REPL_FLAG_ENTERED) !== 0) {
      this.enter(batch, row, to);
      return;
    }
    const node = this.known(batch, row);
    if (!node) {
      if (!isOfCopy(batch, row)) this.contradiction(batch, row, 'the file is not known');
      this.enter(batch, row, to);
      return;
    }
    const from = this.ownName(batch, row, node);
    if (!from) {
      this.enter(batch, row, to);
      return;
    }
    if (from.parent === to.parent && from.name === to.name) return;
    if (node.isFolder && this.edits.isInside(to.parent, node)) {
      this.contradiction(batch, row, 'a folder cannot be renamed into itself');
      return;
    }
    const victim = this.victim(batch, row, to);
    if (victim === node) this.edits.unlink(node, from);
    else if (victim && this.isLenient(batch, row)) {
      this.unname(victim, to, true);
      this.edits.move(node, from, to, null);
    } else this.edits.move(node, from, to, victim);
  }

  /** From outside of the set: what it holds follows. */
  private enter(batch: Batch, row: number, to: Place): void {
    const kind = (batch.flags(row) & REPL_FLAG_DIRECTORY) !== 0 ? Kind.folder : Kind.file;
    const key = batch.fileKey(row);
    const node = this.identified(batch, row, key, kind);
    if (!node && isOfCopy(batch, row)) {
      this.adopt(key, to);
      return;
    }
    const victim = this.holder(to);
    if (victim === node && node) return;
    if (victim) this.unname(victim, to, true);
    if (node) this.putAt(node, to);
    else this.edits.create(batch.set(row), key, kind, to);
  }

  private leave(batch: Batch, row: number, mayLive: boolean): void {
    const node = this.known(batch, row);
    if (!node) {
      if (isOfCopy(batch, row)) this.dropCopy(batch, row);
      else this.contradiction(batch, row, 'the file is not known');
      return;
    }
    const place = this.ownName(batch, row, node);
    if (place) this.unname(node, place, mayLive);
  }

  private link(batch: Batch, row: number): void {
    const to = this.place(batch, row, batch.data(row).toString('utf16le'));
    if (!to) {
      this.contradiction(batch, row, 'its new folder is not there');
      return;
    }
    const node = this.known(batch, row);
    if (!node || (batch.flags(row) & REPL_FLAG_ENTERED) !== 0) {
      const mayBeNew = (batch.flags(row) & REPL_FLAG_ENTERED) !== 0 || isOfCopy(batch, row);
      if (!node && !mayBeNew) {
        this.contradiction(batch, row, 'the file is not known');
      }
      this.enter(batch, row, to);
      return;
    }
    const victim = this.victim(batch, row, to);
    if (victim === node) return;
    if (this.map.names(node)[0]?.parent === ORPHANS || (victim && this.isLenient(batch, row))) {
      if (victim) this.unname(victim, to, true);
      this.putAt(node, to);
      return;
    }
    this.edits.link(node, to, victim);
  }

  /** Two handles of one file may both find that it has lost its name: the second time nothing is left to do. */
  private delete(batch: Batch, row: number): void {
    const node = this.known(batch, row);
    const place = this.placeIfThere(batch, row, batch.name(row));
    const last = (batch.flags(row) & REPL_FLAG_LAST_LINK) !== 0;
    if (!node && isOfCopy(batch, row)) this.dropCopy(batch, row);
    if (!node || !place || this.map.child(place.parent, place.name) !== node.id) {
      if (node && last) for (const one of [...this.map.names(node)]) this.unname(node, one, false);
      return;
    }
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

  private attribute(batch: Batch, row: number): void {
    const node = this.target(batch, row);
    if (!node) return;
    const data = batch.data(row);
    switch (batch.type(row)) {
      case ReplRecordType.setBasic: {
        this.edits.setBasic(node, decodeBasic(data));
        return;
      }
      case ReplRecordType.setSecurity:
        this.map.change(node);
        node.security = mergeSecurity(node.security, data, batch.offset(row));
        return;
      case ReplRecordType.setEa: {
        const changes = decodeEa(data);
        this.edits.setEa(node, mergeEa(node.ea, changes), changes);
        return;
      }
      case ReplRecordType.setReparse: {
        this.edits.setReparse(node, Buffer.from(data));
        return;
      }
      case ReplRecordType.deleteReparse: {
        this.edits.setReparse(node, Buffer.alloc(0));
        return;
      }
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
    if (batch.type(row) === ReplRecordType.deleteStream) {
      this.edits.destroy(node, place);
      return;
    }
    const to = { parent: place.parent, name: keepable(batch.data(row).toString('utf16le')) };
    const victim = this.holder(to);
    if (victim === node) return;
    if (victim && (batch.flags(row) & REPL_FLAG_REPLACE) === 0) {
      this.contradiction(batch, row, 'the new name is taken');
    }
    this.edits.move(node, place, to, victim);
  }

  /**
   * What a folder contains; names that are not told are gone. A long listing comes in several records:
   * nothing is gone before the last. Who began to read in the middle of one takes nothing for gone.
   */
  private folder(batch: Batch, row: number): void {
    const folder = this.folderNode(batch, row);
    if (!folder) return;
    const entries = new Map(
      decodeEntries(batch.data(row)).map((entry) => [keepable(entry.name), entry]),
    );
    if (batch.offset(row) === 0 || this.listing?.folder !== folder.id) {
      this.listing = { folder: folder.id, keys: new Map() };
    }
    const { keys } = this.listing;
    const isCopy = (batch.flags(row) & REPL_FLAG_COPY) !== 0;
    for (const [name, entry] of entries) keys.set(name, entry.fileId.toString('latin1'));
    if (batch.offset(row) + entries.size === batch.range(row)) {
      if (keys.size === batch.range(row)) {
        this.dropUnlisted(folder, keys, isCopy);
      }
      this.listing = null;
    }
    for (const [name, entry] of entries) {
      const [checked] = splitPath(entry.name);
      const place = { parent: folder.id, name: checked ?? name };
      const key = entry.fileId.toString('latin1');
      const isFolder = (entry.attributes & FILE_ATTRIBUTE_DIRECTORY) !== 0;
      const kind = isFolder ? Kind.folder : Kind.file;
      const node = this.identified(batch, row, key, kind);
      if (!node && !isFolder && isCopy) this.adopt(key, place);
      else if (!node) {
        const other = this.holder(place);
        if (other) this.unname(other, place, true);
        const made = this.edits.create(batch.set(row), key, kind, place);
        made.attributes = entry.attributes;
      } else if (this.holder(place) !== node) {
        const other = this.holder(place);
        if (other) this.unname(other, place, true);
        this.putAt(node, place);
      }
    }
    if (!this.isLenient(batch, row)) this.buryOrphans();
  }

  /** `keepsNames`: what another file has become the name of may stay, see adopt(). */
  private dropUnlisted(folder: Node, keys: ReadonlyMap<string, string>, keepsNames: boolean): void {
    for (const { name, node: id } of this.map.children(folder.id)) {
      if (isStream(name)) continue;
      const node = this.map.get(id)!;
      if (keys.get(name) === node.key || (keepsNames && keys.has(name))) continue;
      this.unname(node, { parent: folder.id, name }, true);
    }
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
      if (!owner) {
        this.contradiction(batch, row, 'the file is not known');
        return;
      }
      const place = { parent: owner.id, name: keepable(batch.name(row)) };
      const stream =
        this.holder(place) ?? this.edits.create(batch.set(row), '', Kind.stream, place);
      this.edits.truncate(stream, metadata.size);
      return;
    }
    if (isOfCopy(batch, row)) {
      this.copy(batch, row, metadata);
      return;
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
      node = place
        ? this.appear(batch, row, place, kind, metadata)
        : this.appearNowhere(batch, row, kind, metadata);
    }
    if (!node.isFolder) this.edits.truncate(node, metadata.size);
    this.edits.describe(node, metadata);
  }
}
