/** From a folder as programs name it to its NT path. */
import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, ntsError } from '../common/errors.js';

interface Mount {
  readonly point: string;
  readonly type: string;
  readonly source: string;
}

/** A line of /proc/self/mountinfo (proc_pid_mountinfo(5)): \040 is a blank. */
export function parseMounts(text: string): Mount[] {
  const plain = (field: string): string =>
    field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ');
    if (before === undefined || after === undefined) return [];
    const point = before.split(' ')[4];
    const [type = '', source = ''] = after.split(' ');
    return point === undefined ? [] : [{ point: plain(point), type, source: plain(source) }];
  });
}

/** Throws where the folder is none, or on no volume that the driver can filter. */
export async function ntPathOf(folder: string): Promise<{ folder: string; root: string }> {
  let real;
  try {
    real = await realpath(folder);
    if (!(await stat(real)).isDirectory()) throw new Error('it is no folder');
  } catch (error) {
    throw ntsError('NTS_ERR_FILE_READ', { file: folder, why: messageOf(error) }, { cause: error });
  }
  if (process.platform === 'win32') return { folder: real, root: `\\??\\${real}` };
  const mounts = parseMounts(await readFile('/proc/self/mountinfo', 'utf8'));
  const mount = mounts
    .filter(({ point }) => real === point || real.startsWith(point === '/' ? '/' : `${point}/`))
    .sort((a, b) => a.point.length - b.point.length)
    .at(-1);
  if (mount?.type !== 'fuse.nthost' || !mount.source.startsWith('\\')) {
    const what = `${folder} is not on a volume of the driver host, whose drivers could see what is written there. Mount it first: nthost --mount BACKING:MOUNTPOINT; or name its NT path by --root`;
    throw ntsError('NTS_ERR_REFUSED', { what });
  }
  const below = path.relative(mount.point, real).split('/').filter(Boolean);
  return { folder: real, root: [mount.source, ...below].join('\\') };
}
