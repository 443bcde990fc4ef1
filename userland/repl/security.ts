/**
 * Security descriptors, self-relative ([MS-DTYP] 2.4.6): a change of some parts put into the whole.
 */
import { recordError } from './record.js';

/** SECURITY_INFORMATION */
const OWNER = 1;
const GROUP = 2;
const DACL = 4;
/** Labels, attributes, scopes and the like are in the SACL, too. */
const SACL = 8 | 0x10 | 0x20 | 0x40 | 0x80 | 0x100;
const ALL = OWNER | GROUP | DACL | 8;

const HEADER = 20;
const SELF_RELATIVE = 0x8000;

interface Part {
  readonly bit: number;
  /** Of the header. */
  readonly at: number;
  /** Bits of the control field that belong to it. */
  readonly control: number;
}

const parts: readonly Part[] = [
  { bit: OWNER, at: 4, control: 0x0001 },
  { bit: GROUP, at: 8, control: 0x0002 },
  { bit: SACL, at: 12, control: 0x2a30 },
  { bit: DACL, at: 16, control: 0x150c },
];

function check(descriptor: Buffer): void {
  if (descriptor.length < HEADER || descriptor[0] !== 1) {
    throw recordError(`a security descriptor of ${descriptor.length} bytes`);
  }
}

/** The bytes of a SID or an ACL; none: the part is absent, or a null ACL. */
function partOf(descriptor: Buffer, { at, bit }: Part): Buffer {
  const offset = descriptor.readUInt32LE(at);
  if (offset === 0) return Buffer.alloc(0);
  const cut = (): never => {
    throw recordError('a security descriptor is cut off');
  };
  if (offset + 8 > descriptor.length) cut();
  const length =
    bit === OWNER || bit === GROUP
      ? 8 + 4 * descriptor[offset + 1]!
      : descriptor.readUInt16LE(offset + 2);
  if (offset + length > descriptor.length) cut();
  return descriptor.subarray(offset, offset + length);
}

/** `old` with the parts of `change` that `information` names. */
export function mergeSecurity(old: Buffer, change: Buffer, information: number): Buffer {
  check(change);
  if (old.length === 0 || (information & ALL) === ALL) return Buffer.from(change);
  check(old);
  let control = SELF_RELATIVE;
  const header = Buffer.alloc(HEADER);
  const pieces: Buffer[] = [header];
  let at = HEADER;
  for (const part of parts) {
    const from = (information & part.bit) !== 0 ? change : old;
    control |= from.readUInt16LE(2) & part.control;
    const bytes = partOf(from, part);
    if (bytes.length === 0) continue;
    header.writeUInt32LE(at, part.at);
    const rounded = Buffer.alloc((bytes.length + 3) & ~3);
    bytes.copy(rounded);
    pieces.push(rounded);
    at += rounded.length;
  }
  header.writeUInt8(1, 0);
  header.writeUInt16LE(control, 2);
  return Buffer.concat(pieces);
}
