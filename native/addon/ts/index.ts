/** The addon's JavaScript API. */
export {
  type Access,
  type Device,
  type OpenOptions,
  type RequestOptions,
  openDevice,
} from './device.js';
export { type HostLink, connectHost } from './host-link.js';
export { loadNative } from './native.js';
