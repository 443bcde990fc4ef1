/**
 * Copy mode on the backup: a file's copy is made beside it, and takes its place when it is whole, by one
 * rename: readers see the old file or the new one.
 *
 * A ReplRecordFile begins a copy, what is synchronised goes into it, and another ReplRecordFile with
 * REPL_FLAG_COPIED, which says which one it means, ends it. A copy whose file was changed meanwhile is nothing. Copies that are being made
 * are among the orphans, without an identity, under a name that says whose they are.
 *
 * Names are those of the primary. Of a file that was not copied yet nothing is known: where it replaces one
 * that is, that one stays under the name, as the new file's content of an earlier time.
 */
import { REPL_FLAG_COPIED, REPL_FLAG_COPY, REPL_FLAG_DIRECTORY } from './codec.js';
import { Kind, type Node, ORPHANS, type Place, copyName, isCopyName } from './node.js';
import type { Metadata } from './payload.js';
import type { Batch } from './record.js';
import { Resolver } from './resolve.js';

/** A record about a file, no folder, of a set in copy mode. */
export function isOfCopy(batch: Batch, row: number): boolean {
  return (batch.flags(row) & (REPL_FLAG_COPY | REPL_FLAG_DIRECTORY)) === REPL_FLAG_COPY;
}

export class CopyResolver extends Resolver {
  private copyPlace(batch: Batch, row: number): Place {
    return { parent: ORPHANS, name: copyName(batch.set(row), batch.fileKey(row)) };
  }

  /** The copy of the record's file that is being made. */
  protected copyOf(batch: Batch, row: number): Node | null {
    return this.holder(this.copyPlace(batch, row));
  }

  protected dropCopy(batch: Batch, row: number): void {
    const copy = this.copyOf(batch, row);
    if (copy) this.edits.destroy(copy, this.copyPlace(batch, row));
  }

  /**
   * Of the set, 0: of all. What is told from now on may miss changes before it: no copy that was begun is to be
   * trusted, and of one whose file is gone nobody may have told.
   */
  protected dropCopies(set: number): void {
    for (const { name, node: id } of this.map.children(ORPHANS)) {
      const copy = this.map.get(id)!;
      if (!isCopyName(name) || (set !== 0 && copy.set !== set)) continue;
      this.edits.destroy(copy, { parent: ORPHANS, name });
    }
  }

  /** A file's further names may have come before its first copy, when nothing was known of it. */
  protected override ownName(batch: Batch, row: number, node: Node): Place | null {
    if (!isOfCopy(batch, row)) return super.ownName(batch, row, node);
    const place = this.placeIfThere(batch, row, batch.name(row));
    if (place && this.map.child(place.parent, place.name) === node.id) return place;
    return this.map.names(node).find(({ parent }) => parent === ORPHANS) ?? null;
  }

  /** A ReplRecordFile. */
  protected copy(batch: Batch, row: number, metadata: Metadata): void {
    if ((batch.flags(row) & REPL_FLAG_COPIED) !== 0) this.endCopy(batch, row, metadata);
    else this.beginCopy(batch, row, metadata);
  }

  private beginCopy(batch: Batch, row: number, metadata: Metadata): void {
    this.dropCopy(batch, row);
    const place = this.copyPlace(batch, row);
    const copy = this.edits.create(batch.set(row), '', Kind.file, place, metadata);
    this.edits.truncate(copy, metadata.size);
    this.edits.describe(copy, metadata);
    // Which one it is, until it ends.
    copy.change = BigInt(batch.sequence(row));
  }

  private endCopy(batch: Batch, row: number, metadata: Metadata): void {
    const copy = this.copyOf(batch, row);
    if (copy?.change !== BigInt(batch.offset(row))) return;
    if (copy.size !== metadata.size || copy.write !== metadata.basic.lastWriteTime) {
      this.dropCopy(batch, row);
      return;
    }
    const from = this.copyPlace(batch, row);
    const key = batch.fileKey(row);
    const old = this.identified(batch, row, key, Kind.file);
    if (old) {
      this.surface(batch, row, old);
      this.replace(copy, from, old);
    } else {
      const place = this.place(batch, row, batch.name(row));
      if (!place) {
        this.dropCopy(batch, row);
        return;
      }
      this.putInto(batch, row, copy, from, place);
    }
    this.map.setKey(copy, key);
    this.edits.describe(copy, metadata);
  }

  /** Who has lost the name that was known, inside of a bracket, has the record's. */
  private surface(batch: Batch, row: number, old: Node): void {
    if (this.map.names(old)[0]?.parent !== ORPHANS) return;
    const place = this.placeIfThere(batch, row, batch.name(row));
    if (!place) return;
    const holder = this.holder(place);
    if (holder) this.unname(holder, place, true);
    this.putAt(old, place);
  }

  /** Under all names of the old one. */
  private replace(copy: Node, from: Place, old: Node): void {
    // From here on the copy is not the old one's, which takes its own with it when it goes.
    this.map.setKey(old, '');
    const names = [...this.map.names(old)];
    const last = names.pop()!;
    for (const place of names) this.edits.link(copy, place, old);
    this.edits.move(copy, from, last, old);
  }

  private putInto(batch: Batch, row: number, copy: Node, from: Place, place: Place): void {
    const holder = this.holder(place);
    if (holder?.isFolder) {
      this.contradiction(batch, row, 'a folder has its name');
      this.unname(holder, place, true);
    }
    this.edits.move(copy, from, place, holder?.isFolder ? null : holder);
  }

  /** A file that was not copied yet gets a name: who has it stays there, until the copy comes. */
  protected adopt(key: string, place: Place): void {
    const holder = this.holder(place);
    if (!holder) return;
    if (holder.isFolder || this.map.names(holder).length > 1) {
      this.unname(holder, place, true);
      return;
    }
    this.edits.dropCopyOf(holder);
    this.map.setKey(holder, key);
    // Whoever compares finds another file. Its time of the last write is the one that is on the disk.
    holder.change = 0n;
  }
}
