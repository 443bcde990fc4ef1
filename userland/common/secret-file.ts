/** Files that hold secrets: readable by their owner alone, who is this user or root. */
import { open } from 'node:fs/promises';
import { messageOf, ntsError } from './errors.js';

export interface SecretFile {
  readonly text: string;
  /** Throws, with the command that mends it, where somebody else may read the file. */
  requirePrivate(): void;
}

const GROUP_AND_OTHERS = 0o077;

/** A file that is far beyond what any of ours holds is not read. */
const LIMIT = 1 << 20;

export async function readSecret(file: string): Promise<SecretFile> {
  let handle;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    throw ntsError('NTS_ERR_FILE_READ', { file, why: reason(error) }, { cause: error });
  }
  try {
    // Of the file that is open, so that nobody can exchange it in between.
    const stat = await handle.stat();
    if (!stat.isFile()) throw ntsError('NTS_ERR_FILE_READ', { file, why: 'it is no file' });
    if (stat.size > LIMIT) throw ntsError('NTS_ERR_FILE_READ', { file, why: 'it is too long' });
    const text = await handle.readFile('utf8');
    return { text, requirePrivate: () => requirePrivate(file, stat.mode, stat.uid) };
  } finally {
    await handle.close();
  }
}

/** Windows has access control lists instead; who may read the file is left to its folder there. */
function requirePrivate(file: string, mode: number, owner: number): void {
  const user = process.getuid?.();
  if (user === undefined) return;
  if (owner !== 0 && owner !== user) {
    const command = `chown ${user} ${quoted(file)} && chmod 600 ${quoted(file)}`;
    throw ntsError('NTS_ERR_FILE_PERMISSIONS', {
      file,
      why: 'it belongs to another user',
      command,
    });
  }
  if ((mode & GROUP_AND_OTHERS) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(3, '0');
    const command = `chmod 600 ${quoted(file)}`;
    throw ntsError('NTS_ERR_FILE_PERMISSIONS', {
      file,
      why: `others may use it (mode ${octal})`,
      command,
    });
  }
}

/** For a shell. */
function quoted(file: string): string {
  return /^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", `'\\''`)}'`;
}

function reason(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'it does not exist';
    case 'EACCES':
      return 'this user may not';
    default:
      return messageOf(error);
  }
}
