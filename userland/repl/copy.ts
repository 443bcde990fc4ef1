/** Copies of folders with all that is in them: data by reference where that can be, links as links. */
import { constants } from 'node:fs';
import type { Files, Name, Stat } from './files.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } =
  constants;

export class Copier {
  /** The inode of the copy of each inode. */
  readonly twins = new Map<number, number>();
  private readonly pinned = new Set<string>();

  /** `pins`: a folder of the copies' file system, for the copies of what has several names. */
  constructor(
    private readonly files: Files,
    private readonly pins: number,
    /** A file was copied, or a link made. */
    private readonly onFile: () => void = () => undefined,
  ) {}

  folder(from: number, to: number): void {
    for (const name of this.files.list(from)) {
      this.one(from, to, name);
      this.onFile();
    }
  }

  private one(from: number, to: number, name: Name): void {
    const stat = this.files.stat(from, name)!;
    const pin = `copy${stat.ino}`;
    if (this.pinned.has(pin)) {
      this.files.link(this.pins, pin, to, name);
      return;
    }
    this.make(from, to, name, stat);
    this.twins.set(stat.ino, this.files.stat(to, name)!.ino);
    if (stat.links > 1 && (stat.mode & S_IFMT) !== S_IFDIR) {
      this.files.link(to, name, this.pins, pin);
      this.pinned.add(pin);
    }
  }

  private make(from: number, to: number, name: Name, stat: Stat): void {
    switch (stat.mode & S_IFMT) {
      case S_IFDIR: {
        this.files.makeFolder(to, name, 0o700);
        const inner = this.files.open(from, name, O_RDONLY | O_DIRECTORY);
        const copy = this.files.open(to, name, O_RDONLY | O_DIRECTORY);
        try {
          this.folder(inner, copy);
        } finally {
          this.files.close(inner);
          this.files.close(copy);
        }
        return;
      }
      case S_IFLNK:
        this.files.symlink(this.files.readlink(from, name), to, name);
        return;
      case S_IFREG: {
        const source = this.files.open(from, name, O_RDONLY);
        const copy = this.files.open(to, name, O_RDWR | O_CREAT | O_EXCL, 0o600);
        try {
          this.files.copy(source, copy, stat.size);
        } finally {
          this.files.close(source);
          this.files.close(copy);
        }
        return;
      }
      default:
        this.files.makeNode(to, name, stat.mode, stat.major, stat.minor);
    }
  }

  finish(): void {
    for (const pin of this.pinned) this.files.unlink(this.pins, pin);
    this.pinned.clear();
  }
}
