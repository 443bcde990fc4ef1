/**
 * The elementary changes: each of the map and of the tree, in lockstep. Without a tree, of the map alone.
 */
import type { ReplBasic } from './codec.js';
import type { FileMap } from './map.js';
import { Kind, type Node, ORPHANS, type Place, TOP, copyName } from './node.js';
import type { Ea, Metadata } from './payload.js';
import { OWNER_EAS, isLinuxAttribute, sameShape, shapeOf } from './shape.js';
import { isTime } from './time.js';
import type { Spot, Tree } from './tree.js';

export class Edits {
  private readonly timed = new Set<Node>();

  constructor(
    private readonly map: FileMap,
    private readonly tree: Tree | null,
    private readonly onReshape: (node: Node) => void,
  ) {}

  create(set: number, key: string, kind: Kind, place: Place, metadata?: Metadata | null): Node {
    const node = this.map.create(set, key, kind);
    // Made as what it is, rather than as a file that becomes a symbolic link.
    if (metadata && metadata.reparse.length > 0) {
      node.reparse = Buffer.from(metadata.reparse);
      node.ea = Buffer.from(metadata.ea);
    }
    this.tree?.create(node, place.parent, place.name);
    this.map.bind(place.parent, place.name, node);
    return node;
  }

  private spot({ parent, name }: Place): Spot {
    return this.tree!.spot(parent, name);
  }

  /** Of the node that loses a name to another; the tree has done it already. */
  private displaced(victim: Node | null, place: Place, isLast: boolean): void {
    if (!victim) return;
    if (isLast) this.dropStreams(victim);
    this.map.unbind(place.parent, place.name, victim);
    if (isLast) this.remove(victim);
  }

  private remove(node: Node): void {
    if (node.kind === Kind.file) this.dropCopyOf(node);
    this.timed.delete(node);
    this.map.remove(node);
  }

  /** The copy of a file that is being made: nobody waits for it any more. */
  dropCopyOf(node: Node): void {
    if (node.key === '') return;
    const place = { parent: ORPHANS, name: copyName(node.set, node.key) };
    const copy = this.map.get(this.map.child(place.parent, place.name));
    if (copy) this.destroy(copy, place);
  }

  private isLast(node: Node | null): boolean {
    return node !== null && this.map.names(node).length === 1;
  }

  move(node: Node, from: Place, to: Place, victim: Node | null): void {
    const isLast = this.isLast(victim);
    if (this.tree) {
      const [source, target] = [this.spot(from), this.spot(to)];
      this.tree.move(source, target, victim, isLast);
    }
    this.displaced(victim, to, isLast);
    this.map.unbind(from.parent, from.name, node);
    this.map.bind(to.parent, to.name, node);
  }

  link(node: Node, to: Place, victim: Node | null): void {
    const isLast = this.isLast(victim);
    this.tree?.link(node, to.parent, to.name, victim, isLast);
    this.displaced(victim, to, isLast);
    this.map.bind(to.parent, to.name, node);
  }

  /** One of several names. */
  unlink(node: Node, place: Place): void {
    this.tree?.unlink(this.spot(place));
    this.map.unbind(place.parent, place.name, node);
  }

  /** The name, and with the last one the node; what a folder holds first. */
  destroy(node: Node, place: Place): void {
    if (this.map.names(node).length > 1) {
      this.unlink(node, place);
      return;
    }
    for (const { name, node: id } of this.map.children(node.id)) {
      this.destroy(this.map.get(id)!, { parent: node.id, name });
    }
    this.tree?.dispose(node, this.spot(place));
    this.map.unbind(place.parent, place.name, node);
    this.remove(node);
  }

  dropStreams(node: Node): void {
    for (const { name, node: id } of this.map.children(node.id)) {
      if (name.startsWith(':')) this.destroy(this.map.get(id)!, { parent: node.id, name });
    }
  }

  /** Is the folder `inner` the folder `outer`, or below it? */
  isInside(inner: number, outer: Node): boolean {
    for (let id = inner; id !== 0 && id !== TOP;) {
      if (id === outer.id) return true;
      const node = this.map.get(id);
      id = node ? (this.map.names(node)[0]?.parent ?? 0) : 0;
    }
    return false;
  }

  /** The branch below `outer` on which `inner` lies becomes an orphan. */
  unhook(inner: number, outer: Node): void {
    let id = inner;
    for (;;) {
      const node = this.map.get(id)!;
      const place = this.map.names(node)[0]!;
      if (place.parent === outer.id) {
        this.move(node, place, { parent: ORPHANS, name: String(node.id) }, null);
        return;
      }
      id = place.parent;
    }
  }

  write(node: Node, offset: number, data: Buffer, time: bigint | null): void {
    this.map.change(node);
    this.tree?.write(node, offset, data);
    if (data.length > 0) node.size = Math.max(node.size, offset + data.length);
    if (time !== null) this.touched(node, time);
    // Writing changed the time on the disk, in any case.
    else this.timed.add(node);
  }

  truncate(node: Node, size: number, time?: bigint): void {
    this.map.change(node);
    if (size !== node.size) this.tree?.truncate(node, size);
    node.size = size;
    if (time !== undefined) this.touched(node, time);
    else this.timed.add(node);
  }

  zero(node: Node, offset: number, length: number, time: bigint): void {
    this.map.change(node);
    const end = Math.min(offset + length, node.size);
    if (end > offset) this.tree?.zero(node, offset, end - offset);
    this.touched(node, time);
  }

  /** Data changed: the time of the last write is the record's, as the file system on the primary had it. */
  private touched(node: Node, time: bigint): void {
    if (node.kind === Kind.stream) return;
    node.write = time;
    node.change = time;
    this.timed.add(node);
  }

  setTimes(): void {
    if (this.tree) {
      for (const node of this.timed) this.tree.dress(node, { times: true });
    }
    this.timed.clear();
  }

  private basic(node: Node, basic: ReplBasic): void {
    if (isTime(basic.creationTime)) node.creation = basic.creationTime;
    if (isTime(basic.lastAccessTime)) node.access = basic.lastAccessTime;
    if (isTime(basic.lastWriteTime)) node.write = basic.lastWriteTime;
    if (isTime(basic.changeTime)) node.change = basic.changeTime;
    if (basic.attributes !== 0) node.attributes = basic.attributes;
    this.timed.add(node);
  }

  setBasic(node: Node, basic: ReplBasic): void {
    this.map.change(node);
    if (node.kind !== Kind.stream) this.basic(node, basic);
  }

  /** Everything that metadata tells. */
  describe(node: Node, metadata: Metadata): void {
    this.map.change(node);
    this.basic(node, metadata.basic);
    if (metadata.security.length > 0) node.security = Buffer.from(metadata.security);
    const attributes = !node.ea.equals(metadata.ea) || metadata.ea.length > 0;
    node.ea = Buffer.from(metadata.ea);
    if (!node.reparse.equals(metadata.reparse))
      this.setReparse(node, Buffer.from(metadata.reparse));
    if (attributes) this.tree?.dress(node, { owner: true, attributes: true });
  }

  setEa(node: Node, ea: Buffer, changes: readonly Ea[]): void {
    this.map.change(node);
    node.ea = ea;
    const names = new Set(changes.map(({ name }) => name));
    const owner = changes.some(({ name }) => OWNER_EAS.has(name));
    const attributes = changes.some(({ name }) => isLinuxAttribute(name));
    if (owner || attributes) {
      this.tree?.dress(node, { owner, ...(attributes ? { attributes: names } : {}) });
    }
    this.timed.add(node);
  }

  setReparse(node: Node, reparse: Buffer): void {
    this.map.change(node);
    const before = node.isFolder ? null : shapeOf(node);
    node.reparse = reparse;
    if (!before || sameShape(before, shapeOf(node))) return;
    for (const { parent, name } of this.map.names(node)) this.map.noteName(parent, name);
    if (this.tree) {
      this.tree.reshape(node);
      this.tree.dress(node, { owner: true, attributes: true });
    }
    node.size = 0;
    this.onReshape(node);
    this.timed.add(node);
  }
}
