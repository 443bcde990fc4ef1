/** Memory that others read and write at the same time; see NativeMemory. */
import { loadNative } from './native.js';

export function loadAcquire(memory: Uint8Array, offset: number): bigint {
  return loadNative().loadAcquire(memory, offset);
}

export function storeRelease(memory: Uint8Array, offset: number, value: bigint): void {
  loadNative().storeRelease(memory, offset, value);
}

/** CRC-32C, RFC 3720. */
export function crc32c(data: Uint8Array, seed = 0): number {
  return loadNative().crc32c(data, seed);
}
