/**
 * Names of NT in the backup's tree.
 *
 * A path is relative to its set's root and separated by '\'. In the map a name is a string as it came;
 * a name that is no well-formed UTF-16, which SQLite could not keep, is U+FFFF and its code units in hex.
 * On Linux a name is UTF-8, in which U+F000 + byte is that byte, as the driver host (nthost/nt.h) and WSL
 * have it. A name that Linux cannot have (too long, "..", a '/') is kept by a stand-in of its hash.
 */
import { createHash } from 'node:crypto';
import { recordError } from './record.js';

const LONGEST = 255;
const ESCAPE = '\uffff';

/** Throws where a component is none. What it lets through cannot lead out of a folder. */
export function checkPath(path: string): void {
  splitPath(path);
}

/** The components of a path, as the map has them. "" is the root: none. */
export function splitPath(path: string): string[] {
  if (path === '') return [];
  const parts = path.split('\\');
  for (const part of parts) {
    if (part === '' || part === '.' || part === '..' || /[/\0]/.test(part)) {
      throw recordError(`"${path}" is no path below a set's root`);
    }
  }
  return parts.map(keepable);
}

export function keepable(name: string): string {
  const wellFormed = !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(
    name,
  );
  return wellFormed && !name.startsWith(ESCAPE)
    ? name
    : ESCAPE + Buffer.from(name, 'utf16le').toString('hex');
}

// The driver host's names of Linux: bytes that are no UTF-8, and characters that NT names cannot have.
const PRIVATE = /[\uf000-\uf0ff]/;
// What needs no thought: most names.
const PLAIN = /^[\w-][\w.-]{0,99}$/;

/** The bytes of a name in the tree. */
export function diskName(name: string): Buffer | string {
  if (PLAIN.test(name)) return name;
  let bytes: Buffer;
  if (!PRIVATE.test(name)) bytes = Buffer.from(name, 'utf8');
  else {
    const parts: Buffer[] = [];
    for (const character of name) {
      const code = character.codePointAt(0)!;
      parts.push(
        code >= 0xf000 && code <= 0xf0ff ? Buffer.of(code & 0xff) : Buffer.from(character, 'utf8'),
      );
    }
    bytes = Buffer.concat(parts);
  }
  const text = bytes.toString('latin1');
  const impossible =
    bytes.length > LONGEST ||
    name.startsWith(ESCAPE) ||
    text === '.' ||
    text === '..' ||
    /[/\0]/.test(text);
  return impossible ? standIn(name) : bytes;
}

function standIn(name: string): string {
  return `~ntswift-${createHash('sha256').update(name, 'utf16le').digest('hex').slice(0, 32)}`;
}
