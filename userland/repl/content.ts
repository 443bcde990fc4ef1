/**
 * Does a record say something that can be meant? What each type must and must not have; the same rules
 * as the driver's (kernel/repl/record.h). The frame is in order already.
 */
import {
  REPL_FLAG_CLOSE,
  REPL_FLAG_COPIED,
  REPL_FLAG_COPY,
  REPL_FLAG_DIRECTORY,
  REPL_FLAG_ENTERED,
  REPL_FLAG_LAST_LINK,
  REPL_FLAG_LEFT,
  REPL_FLAG_OPEN,
  REPL_FLAG_PAGING,
  REPL_FLAG_REPLACE,
  REPL_FLAG_STREAM,
  REPL_FLAG_SUPERSEDE,
  REPL_FLAG_SYNC,
  REPL_FLAG_VERIFY,
  REPL_FLAG_WRITE_THROUGH,
  REPL_MAX_DATA,
  REPL_MAX_LABEL_BYTES,
  ReplRecordType as T,
} from './codec.js';
import { decodeBasic, decodeEa, decodeEntries, decodeMetadata, decodeReparse } from './payload.js';
import { type Batch, nameRecord, recordError } from './record.js';
import { checkPath } from './names.js';

type NameRule = 'none' | 'path' | 'path?' | 'stream' | 'any' | 'label';

interface Rule {
  readonly name: NameRule;
  /** Throws where the data is wrong; null: there is none. */
  readonly data: ((data: Buffer) => unknown) | null;
  /** Flags besides OPEN, CLOSE, SYNC, DIRECTORY and COPY. */
  readonly flags?: number;
  readonly offset?: boolean;
  readonly range?: boolean;
  /** Of no file: FileId and SetId may be zero. */
  readonly global?: boolean;
}

const bytes = (least: number, most: number) => (data: Buffer) => {
  if (data.length < least || data.length > most) throw recordError(`data of ${data.length} bytes`);
};
const newPath = (data: Buffer) => {
  if (data.length % 2 !== 0) throw recordError('a path of half a character');
  checkPath(data.toString('utf16le'));
};
const newStream = (data: Buffer) => checkStream(data.toString('utf16le'));

const rules: Partial<Record<number, Rule>> = {
  [T.aborted]: { name: 'none', data: null, global: true },
  [T.start]: { name: 'none', data: bytes(32, 32), global: true },
  [T.create]: { name: 'any', data: decodeMetadata, flags: REPL_FLAG_STREAM | REPL_FLAG_SUPERSEDE },
  [T.overwrite]: {
    name: 'any',
    data: decodeMetadata,
    flags: REPL_FLAG_STREAM | REPL_FLAG_SUPERSEDE,
  },
  [T.write]: {
    name: 'any',
    data: bytes(0, REPL_MAX_DATA),
    flags: REPL_FLAG_STREAM | REPL_FLAG_PAGING | REPL_FLAG_VERIFY | REPL_FLAG_WRITE_THROUGH,
    offset: true,
    range: true,
  },
  [T.setSize]: { name: 'any', data: null, flags: REPL_FLAG_STREAM, offset: true },
  [T.setAllocation]: { name: 'any', data: null, flags: REPL_FLAG_STREAM, offset: true },
  [T.zero]: { name: 'any', data: null, flags: REPL_FLAG_STREAM, offset: true, range: true },
  [T.rename]: {
    name: 'path?',
    data: newPath,
    flags: REPL_FLAG_REPLACE | REPL_FLAG_ENTERED | REPL_FLAG_LEFT,
  },
  [T.link]: { name: 'path?', data: newPath, flags: REPL_FLAG_REPLACE | REPL_FLAG_ENTERED },
  [T.delete]: { name: 'path', data: null, flags: REPL_FLAG_LAST_LINK },
  [T.setBasic]: { name: 'any', data: decodeBasic, flags: REPL_FLAG_STREAM },
  [T.setSecurity]: { name: 'any', data: bytes(20, 1 << 20), flags: REPL_FLAG_STREAM, offset: true },
  [T.setEa]: { name: 'any', data: decodeEa, flags: REPL_FLAG_STREAM },
  [T.setReparse]: { name: 'any', data: decodeReparse, flags: REPL_FLAG_STREAM },
  [T.deleteReparse]: { name: 'any', data: null, flags: REPL_FLAG_STREAM, offset: true },
  [T.setSparse]: { name: 'any', data: null, flags: REPL_FLAG_STREAM, offset: true },
  [T.setCompression]: { name: 'any', data: null, flags: REPL_FLAG_STREAM, offset: true },
  [T.deleteStream]: { name: 'stream', data: null, flags: REPL_FLAG_STREAM },
  [T.renameStream]: {
    name: 'stream',
    data: newStream,
    flags: REPL_FLAG_STREAM | REPL_FLAG_REPLACE,
  },
  [T.bookmark]: { name: 'label', data: null, global: true },
  [T.flush]: { name: 'any', data: null, flags: REPL_FLAG_STREAM, global: true },
  [T.bracket]: { name: 'none', data: bytes(8, 8), global: true },
  [T.folder]: { name: 'path?', data: decodeEntries, offset: true, range: true },
  [T.file]: {
    name: 'path?',
    data: decodeMetadata,
    flags: REPL_FLAG_STREAM | REPL_FLAG_COPIED,
    offset: true,
  },
  [T.touched]: { name: 'any', data: null },
  [T.lost]: { name: 'none', data: null, global: true },
};

const COMMON_FLAGS =
  REPL_FLAG_OPEN | REPL_FLAG_CLOSE | REPL_FLAG_SYNC | REPL_FLAG_DIRECTORY | REPL_FLAG_COPY;

function checkStream(name: string): void {
  if (!/^:[^:\\/\0]+$/.test(name)) throw recordError(`"${name}" is no stream's name`);
}

function checkName(name: string, rule: NameRule, stream: boolean): void {
  switch (rule) {
    case 'none':
      if (name !== '') throw recordError('a name where none belongs');
      return;
    case 'label':
      if (name === '' || name.length * 2 > REPL_MAX_LABEL_BYTES) {
        throw recordError('a bookmark without a label, or with one too long');
      }
      return;
    case 'stream':
      checkStream(name);
      return;
    case 'path':
    case 'path?':
    case 'any':
      if (stream) checkStream(name);
      else if (name === '' && rule === 'path') throw recordError('no path');
      else if (name !== '') checkPath(name);
  }
}

/** Throws NTS_ERR_REPL_RECORD, which names the record. */
export function checkContent(batch: Batch, row: number): void {
  try {
    check(batch, row);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw recordError(`${nameRecord(batch, row)}: ${error.message}`, {
      sequence: batch.sequence(row),
    });
  }
}

function check(batch: Batch, row: number): void {
  const type = batch.type(row);
  const rule = rules[type];
  if (!rule) throw recordError('a type that this version does not know');
  const flags = batch.flags(row);
  if ((flags & ~(COMMON_FLAGS | (rule.flags ?? 0))) !== 0) {
    throw recordError(`flags 0x${flags.toString(16)}`);
  }
  checkBracket(batch, row, flags);
  if (batch.nameLength(row) % 2 !== 0) throw recordError('a name of half a character');
  checkName(batch.name(row), rule.name, (flags & REPL_FLAG_STREAM) !== 0);
  const left = type === T.rename && (flags & REPL_FLAG_LEFT) !== 0;
  if (rule.data === null || left) {
    if (batch.dataLength(row) !== 0) throw recordError('data where none belongs');
  } else rule.data(batch.data(row));
  if (!rule.offset && batch.offset(row) !== 0) throw recordError('an offset where none belongs');
  if (!rule.range && batch.range(row) !== 0) throw recordError('a range where none belongs');
  if (!Number.isSafeInteger(batch.offset(row) + batch.range(row))) throw recordError('too far');
  if (type === T.write) {
    const least = batch.dataLength(row);
    const range = batch.range(row);
    if ((flags & REPL_FLAG_SYNC) === 0 ? range !== least : range < least) {
      throw recordError(`${least} bytes of data for a range of ${range}`);
    }
  }
  if (type === T.start && batch.data(row).readUInt32LE(24) > 1) throw recordError('Unclean');
  if (!rule.global) {
    if (batch.set(row) === 0) throw recordError('no set');
    if (batch.fileId(row).every((byte) => byte === 0)) throw recordError('no file');
  }
}

function checkBracket(batch: Batch, row: number, flags: number): void {
  const bracket = batch.bracket(row);
  const sequence = batch.sequence(row);
  const open = (flags & REPL_FLAG_OPEN) !== 0;
  const close = (flags & REPL_FLAG_CLOSE) !== 0;
  if (sequence === 0) throw recordError('no sequence');
  if (open && close) throw recordError('opens and closes a bracket');
  if (open && bracket !== sequence) throw recordError(`opens bracket ${bracket}`);
  if (!open && bracket >= sequence && bracket !== 0) throw recordError(`in bracket ${bracket}`);
  if (close && bracket === 0) throw recordError('closes no bracket');
  const type = batch.type(row);
  if (type === T.bracket && !open && !close) throw recordError('neither opens nor closes');
  if (type === T.lost && !open) throw recordError('opens no bracket');
}
