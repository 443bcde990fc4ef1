import { existsSync } from 'node:fs';

/** Options of a test that needs a mount. */
export const missing = existsSync('/dev/fuse') ? {} : { skip: 'there is no /dev/fuse' };
