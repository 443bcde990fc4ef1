/** Files that are there whole or not at all: written beside, on disk, then renamed. */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, ntsError } from './errors.js';

/** Readable by its owner only. What `write` throws leaves the old file, or none. */
export async function writeAtomically<T>(
  file: string,
  write: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  const beside = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.tmp`);
  const handle = await io(file, () => open(beside, 'wx', 0o600));
  try {
    const result = await write(handle);
    await io(file, async () => {
      await handle.sync();
      await handle.close();
      await rename(beside, file);
    });
    return result;
  } catch (error) {
    await handle.close();
    await rm(beside, { force: true });
    throw error;
  }
}

async function io<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw ntsError('NTS_ERR_FILE_WRITE', { file, why: messageOf(error) }, { cause: error });
  }
}
