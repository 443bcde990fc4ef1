/** The primary's files, read as any program reads them: what verify compares. */
import type { FileHandle } from 'node:fs/promises';
import { open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { diskName, splitPath } from './names.js';

/** A path of the stream below the folder of a set, for this system. */
export function localPath(folder: string, relative: string): string | Buffer {
  if (process.platform === 'win32') return path.join(folder, relative);
  const parts = splitPath(relative).map((name) => Buffer.from(diskName(name)));
  return Buffer.concat([Buffer.from(folder), ...parts.flatMap((part) => [Buffer.from('/'), part])]);
}

/** Runs `work` on an open file; null where there is none (any more), or it is none to read. */
export async function withFile<T>(
  file: string | Buffer,
  work: (handle: FileHandle) => Promise<T>,
): Promise<T | null> {
  let handle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EISDIR'].includes(code)) return null;
    throw error;
  }
  try {
    return await work(handle);
  } finally {
    await handle.close();
  }
}

/** What there is of a range. */
export async function readRange(
  handle: FileHandle,
  offset: number,
  length: number,
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let got = 0;
  while (got < length) {
    const { bytesRead } = await handle.read(bytes, got, length - got, offset + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return bytes.subarray(0, got);
}

export interface LocalEntry {
  /** As records have it. */
  readonly name: string;
  readonly kind: 'folder' | 'file' | 'other';
}

/** null: there is no such folder (any more). */
export async function listFolder(folder: string | Buffer): Promise<LocalEntry[] | null> {
  let entries;
  try {
    entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
  return entries.map((entry) => ({
    name: ntName(entry.name),
    kind: entry.isDirectory() ? 'folder' : entry.isFile() ? 'file' : 'other',
  }));
}

/** What names of NT cannot have. */
function isForeign(character: string): boolean {
  return character < ' ' || '"*:<>?|\\'.includes(character);
}

/** The way back from names.ts: bytes that are no UTF-8, and what NT names cannot have, are U+F000 + byte. */
function ntName(bytes: Buffer): string {
  if (process.platform === 'win32') return bytes.toString('utf8');
  const text = bytes.toString('utf8');
  if (Buffer.from(text, 'utf8').equals(bytes) && !Array.from(text).some(isForeign)) {
    return text;
  }
  let name = '';
  for (const part of utf8Parts(bytes)) name += part;
  return name;
}

function* utf8Parts(bytes: Buffer): Generator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at]!;
    const length = first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    const part = bytes.subarray(at, at + length);
    let text: string | null;
    try {
      text = decoder.decode(part);
    } catch {
      text = null;
    }
    if (text === null || part.length < length) {
      yield String.fromCharCode(0xf000 + first);
      at += 1;
    } else {
      yield isForeign(text) ? String.fromCharCode(0xf000 + first) : text;
      at += length;
    }
  }
}
