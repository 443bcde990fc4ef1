/** The addon's JavaScript API. */
export {
  type Access,
  type Device,
  type Lent,
  type OpenOptions,
  type RequestOptions,
  openDevice,
} from './device.js';
export { type HostLink, connectHost } from './host-link.js';
export { crc32c, loadAcquire, storeRelease } from './memory.js';
export { type NativeFiles, type NativeRecords, loadNative } from './native.js';
