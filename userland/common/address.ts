/** Network addresses as text and as bytes. */
import { isIPv4, isIPv6 } from 'node:net';

export function parseIpv4(text: string): Uint8Array | null {
  if (!isIPv4(text)) return null;
  return Uint8Array.from(text.split('.'), Number);
}

export function parseIpv6(text: string): Uint8Array | null {
  if (!isIPv6(text) || text.includes('%')) return null;
  // An IPv4 tail is two groups more.
  const groupsOnly = text.replace(/[\d.]+$/, (tail) => {
    const v4 = parseIpv4(tail);
    if (!v4) return tail;
    const group = (i: number): string => ((v4[i]! << 8) | v4[i + 1]!).toString(16);
    return `${group(0)}:${group(2)}`;
  });
  const [head = '', tail] = groupsOnly.split('::');
  const left = head ? head.split(':') : [];
  const right = tail ? tail.split(':') : [];
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(zeros).fill('0'), ...right];
  const bytes = Buffer.alloc(16);
  groups.forEach((group, i) => bytes.writeUInt16BE(parseInt(group, 16), 2 * i));
  return Uint8Array.from(bytes);
}

export function formatIpv4(bytes: Uint8Array): string {
  return bytes.subarray(0, 4).join('.');
}

/** As RFC 5952 wants it: lower case, the longest run of zeros (two groups at least) left out. */
export function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  let best = { start: 0, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.length < 2) return hex.join(':');
  const end = best.start + best.length;
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(end).join(':')}`;
}

export function parseMac(text: string): Uint8Array | null {
  if (!/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(text)) return null;
  return Uint8Array.from(text.split(/[:-]/), (byte) => parseInt(byte, 16));
}

export function formatMac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

export function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** An address that one machine can have: none of this-network, loopback, multicast, broadcast. */
export function isUnicastIpv4(bytes: Uint8Array): boolean {
  const first = bytes[0]!;
  return first !== 0 && first !== 127 && first < 224;
}

/** Not the unspecified address, not loopback, not multicast, not an IPv4 address in disguise. */
export function isUnicastIpv6(bytes: Uint8Array): boolean {
  if (bytes[0] === 0xff) return false;
  if (isZero(bytes.subarray(0, 10)) && bytes[10] === 0xff && bytes[11] === 0xff) return false;
  return !isZero(bytes.subarray(0, 15)) || bytes[15]! > 1;
}

export function isUnicastMac(bytes: Uint8Array): boolean {
  return (bytes[0]! & 1) === 0 && !isZero(bytes);
}
