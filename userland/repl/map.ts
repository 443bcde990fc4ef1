/**
 * The map of the backup's tree: which node has which names, and what is known of each node. SQLite, in
 * one transaction from checkpoint to checkpoint, so that after a crash it is as of the last one.
 *
 * It also keeps the journal of what changed since then: each name and node as it was at the checkpoint.
 */
import Database from 'better-sqlite3';
import { messageOf, ntsError } from '../common/errors.js';
import { FIRST_NODE, Kind, Node, ORPHANS, type Place, TOP } from './node.js';

const SCHEMA = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE node (
    id INTEGER PRIMARY KEY,
    set_id INTEGER NOT NULL,
    file_id BLOB,            -- NULL: a stream, or a root that no record named
    row BLOB NOT NULL        -- node.ts
  ) STRICT;
  CREATE UNIQUE INDEX node_file ON node (set_id, file_id) WHERE file_id IS NOT NULL;
  CREATE TABLE name (
    parent INTEGER NOT NULL,
    name TEXT NOT NULL,
    node INTEGER NOT NULL,
    PRIMARY KEY (parent, name)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX name_node ON name (node);
  PRAGMA user_version = 1;`;

export interface NameBefore {
  readonly parent: number;
  readonly name: string;
  /** 0: nobody had the name. */
  readonly node: number;
}

/** What changed since the checkpoint, as it was then. */
export class Journal {
  readonly names = new Map<string, NameBefore>();
  /** null: the node was not there. */
  readonly nodes = new Map<number, Buffer | null>();
}

/** Nodes in memory; they are forgotten at the next checkpoint. */
const CACHE = 100_000;

export class FileMap {
  private readonly cache = new Map<number, Node>();
  private readonly keys = new Map<string, Node>();
  private readonly paths = new Map<string, number>();
  private readonly dirty = new Set<Node>();
  private readonly sql;
  private next = FIRST_NODE;
  journal = new Journal();

  private constructor(
    readonly file: string,
    private readonly database: Database.Database,
  ) {
    const one = (text: string) => database.prepare(text);
    this.sql = {
      getMeta: one('SELECT value FROM meta WHERE key = ?').pluck(),
      setMeta: one('INSERT OR REPLACE INTO meta VALUES (?, ?)'),
      node: one('SELECT row FROM node WHERE id = ?').pluck(),
      byKey: one('SELECT id FROM node WHERE set_id = ? AND file_id = ?').pluck(),
      save: one('INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?)'),
      remove: one('DELETE FROM node WHERE id = ?'),
      child: one('SELECT node FROM name WHERE parent = ? AND name = ?').pluck(),
      children: one('SELECT name, node FROM name WHERE parent = ?'),
      names: one('SELECT parent, name FROM name WHERE node = ?'),
      bind: one('INSERT INTO name VALUES (?, ?, ?)'),
      unbind: one('DELETE FROM name WHERE parent = ? AND name = ?'),
      ids: one('SELECT id FROM node WHERE id > ? ORDER BY id LIMIT 1000').pluck(),
      count: one('SELECT count(*) FROM node').pluck(),
    };
    this.next = Number(this.meta('next') ?? FIRST_NODE);
  }

  static open(file: string): FileMap {
    try {
      const database = new Database(file);
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = FULL');
      database.pragma('cache_size = -65536');
      if (database.pragma('user_version', { simple: true }) === 0) {
        database.transaction(() => database.exec(SCHEMA)).immediate();
      }
      return new FileMap(file, database);
    } catch (error) {
      throw ntsError('NTS_ERR_STORE', { file, why: messageOf(error) }, { cause: error });
    }
  }

  /** Everything from here on is one transaction. */
  begin(): void {
    this.database.exec('BEGIN IMMEDIATE');
    this.journal = new Journal();
  }

  get isOpen(): boolean {
    return this.database.inTransaction;
  }

  /** Rows of changed nodes, so that queries see them. */
  flush(): void {
    for (const node of this.dirty) {
      const key = node.key === '' ? null : Buffer.from(node.key, 'latin1');
      this.sql.save.run(node.id, node.set, key, node.encode());
      node.dirty = false;
    }
    this.dirty.clear();
    this.sql.setMeta.run('next', String(this.next));
  }

  /** Durable when this returns. */
  commit(): void {
    this.flush();
    this.database.exec('COMMIT');
    if (this.cache.size > CACHE) this.forget();
  }

  rollback(): void {
    if (this.database.inTransaction) this.database.exec('ROLLBACK');
    this.forget();
    this.next = Number(this.meta('next') ?? FIRST_NODE);
  }

  private forget(): void {
    this.cache.clear();
    this.keys.clear();
    this.paths.clear();
    this.dirty.clear();
  }

  meta(key: string): string | null {
    return (this.sql.getMeta.get(key) as string | undefined) ?? null;
  }

  setMeta(key: string, value: string): void {
    this.sql.setMeta.run(key, value);
  }

  /** Ids of this number and above are new since the last begin(). */
  get nextId(): number {
    return this.next;
  }

  create(set: number, key: string, kind: Kind): Node {
    const node = new Node(this.next++, set, key, kind);
    this.journal.nodes.set(node.id, null);
    node.names = [];
    this.remember(node);
    this.change(node);
    return node;
  }

  private remember(node: Node): void {
    this.cache.set(node.id, node);
    if (node.key !== '') this.keys.set(`${node.set}/${node.key}`, node);
  }

  get(id: number): Node | null {
    const cached = this.cache.get(id);
    if (cached) return cached;
    if (id === ORPHANS || id === TOP) {
      const special = new Node(id, 0, '', Kind.folder);
      this.cache.set(id, special);
      return special;
    }
    const row = this.sql.node.get(id) as Buffer | undefined;
    if (!row) return null;
    const node = Node.decode(id, row);
    this.remember(node);
    return node;
  }

  byKey(set: number, key: string): Node | null {
    const cached = this.keys.get(`${set}/${key}`);
    if (cached) return cached;
    const id = this.sql.byKey.get(set, Buffer.from(key, 'latin1')) as number | undefined;
    const node = id === undefined ? null : this.get(id);
    // One that has another key by now has a row that is not written yet.
    return node?.key === key ? node : null;
  }

  /** Before anything of it changes. */
  change(node: Node): void {
    if (!this.journal.nodes.has(node.id)) this.journal.nodes.set(node.id, node.encode());
    if (node.dirty) return;
    node.dirty = true;
    this.dirty.add(node);
  }

  /** A root learns its FileId. */
  setKey(node: Node, key: string): void {
    this.change(node);
    if (node.key !== '') this.keys.delete(`${node.set}/${node.key}`);
    node.key = key;
    this.remember(node);
  }

  remove(node: Node): void {
    this.change(node);
    this.dirty.delete(node);
    this.cache.delete(node.id);
    if (node.key !== '') this.keys.delete(`${node.set}/${node.key}`);
    this.sql.remove.run(node.id);
  }

  /** 0: nobody. */
  child(parent: number, name: string): number {
    return (this.sql.child.get(parent, name) as number | undefined) ?? 0;
  }

  children(parent: number): { name: string; node: number }[] {
    return this.sql.children.all(parent) as { name: string; node: number }[];
  }

  names(node: Node): readonly Place[] {
    return (node.names ??= this.sql.names.all(node.id) as Place[]);
  }

  bind(parent: number, name: string, node: Node): void {
    this.noteName(parent, name);
    this.change(node);
    this.names(node);
    this.sql.bind.run(parent, name, node.id);
    node.names!.push({ parent, name });
  }

  unbind(parent: number, name: string, node: Node): void {
    this.noteName(parent, name);
    this.change(node);
    node.names = this.names(node).filter((one) => one.parent !== parent || one.name !== name);
    this.sql.unbind.run(parent, name);
    if (node.isFolder) this.paths.clear();
  }

  /** The name counts as changed, though its node keeps it: the inode behind it changes. */
  noteName(parent: number, name: string): void {
    const key = `${parent}/${name}`;
    if (this.journal.names.has(key)) return;
    this.journal.names.set(key, { parent, name, node: this.child(parent, name) });
  }

  /** The folder at a path of whole names below `root`; 0: there is none. */
  folder(root: number, parts: readonly string[]): number {
    if (parts.length === 0) return root;
    const path = `${root}/${parts.join('\\')}`;
    const known = this.paths.get(path);
    if (known !== undefined) return known;
    let id = root;
    for (const part of parts) {
      id = this.child(id, part);
      if (id === 0) return 0;
    }
    if (!this.get(id)?.isFolder) return 0;
    if (this.paths.size > CACHE) this.paths.clear();
    this.paths.set(path, id);
    return id;
  }

  /** For messages: "set\folder\name". */
  describe(node: Node): string {
    const parts: string[] = [];
    for (let one: Node | null = node; one && one.id >= FIRST_NODE;) {
      const [place]: readonly Place[] = this.names(one);
      if (!place) break;
      parts.unshift(place.name);
      one = this.get(place.parent);
    }
    return parts.length > 0 ? parts.join('\\') : `node ${node.id}`;
  }

  /** Puts back what the journal of an interval says; the caller has begun a transaction. */
  restore(names: Iterable<NameBefore>, nodes: Iterable<[number, Buffer | null]>): void {
    this.flush();
    this.forget();
    const list = [...names];
    for (const { parent, name } of list) this.sql.unbind.run(parent, name);
    for (const { parent, name, node } of list) {
      if (node !== 0) this.sql.bind.run(parent, name, node);
    }
    const rows = [...nodes];
    // Away with all first: a FileId may have gone from one node to another.
    for (const [id] of rows) this.sql.remove.run(id);
    for (const [id, row] of rows) {
      if (!row) continue;
      const node = Node.decode(id, row);
      const key = node.key === '' ? null : Buffer.from(node.key, 'latin1');
      this.sql.save.run(id, node.set, key, row);
    }
  }

  setNext(next: number): void {
    this.next = next;
  }

  /** All nodes, without keeping them. */
  *all(): Generator<Node> {
    this.flush();
    for (let after = 0; ;) {
      const ids = this.sql.ids.all(after) as number[];
      if (ids.length === 0) return;
      for (const id of ids) {
        const node = this.cache.get(id) ?? Node.decode(id, this.sql.node.get(id) as Buffer);
        yield node;
      }
      after = ids.at(-1)!;
    }
  }

  /** The tree was copied: each inode has become another. */
  exchangeInos(twins: ReadonlyMap<number, number>): void {
    for (const node of this.all()) {
      const ino = twins.get(node.ino);
      if (ino === undefined) continue;
      node.ino = ino;
      const key = node.key === '' ? null : Buffer.from(node.key, 'latin1');
      this.sql.save.run(node.id, node.set, key, node.encode());
    }
    this.forget();
  }

  count(): number {
    return this.sql.count.get() as number;
  }

  /** A copy as of now, also while another connection writes. */
  copyTo(file: string): void {
    this.database.prepare('VACUUM INTO ?').run(file);
  }

  close(): void {
    this.database.close();
  }
}
