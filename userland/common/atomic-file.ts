/** Files that are there whole or not at all: written beside, on disk, then renamed. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, ntsError } from './errors.js';

/** Readable by its owner only. What `write` throws leaves the old file, or none. */
export async function writeAtomically<T>(
  file: string,
  write: (handle: FileHandle) => Promise<T>,
): Promise<T> {
  const folder = path.dirname(file);
  // What a crash has left does not stand in the way of a later process with the same id.
  const unique = `${process.pid}-${randomBytes(4).toString('hex')}`;
  const beside = path.join(folder, `.${path.basename(file)}.${unique}.tmp`);
  const handle = await io(file, () => open(beside, 'wx', 0o600));
  try {
    const result = await write(handle);
    await io(file, async () => {
      await handle.sync();
      await handle.close();
      await rename(beside, file);
      await syncFolder(folder);
    });
    return result;
  } catch (error) {
    await handle.close();
    await rm(beside, { force: true });
    throw error;
  }
}

/** The name is on disk too. Windows keeps it in its journal, and opens no folder as a file. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function io<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw ntsError('NTS_ERR_FILE_WRITE', { file, why: messageOf(error) }, { cause: error });
  }
}
