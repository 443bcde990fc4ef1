// The labs of this user, each a folder. A lab is up as long as its process answers on the folder's socket; asking the process
// number would not do, since a lab may be in a PID namespace of its own.
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';

export const socketName = 'control.sock';

/** A folder without a socket may belong to a lab that is just being made. */
const graceMs = 30_000;

export function labsFolder(): string {
  // An ordinary user is called root inside his namespaces; NTS_USER says who he is.
  return path.join(os.tmpdir(), `ntswift-labs-${process.env.NTS_USER ?? os.userInfo().uid}`);
}

function answers(id: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path.join(labsFolder(), id, socketName));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

function folders(): string[] {
  return existsSync(labsFolder()) ? readdirSync(labsFolder()) : [];
}

export async function runningLabs(): Promise<string[]> {
  const all = folders();
  const up = await Promise.all(all.map(answers));
  return all.filter((_, index) => up[index]);
}

/** Removes what labs that ended badly have left. */
export async function removeStale(): Promise<string[]> {
  const up = new Set(await runningLabs());
  return folders().filter((id) => {
    const folder = path.join(labsFolder(), id);
    if (up.has(id) || Date.now() - statSync(folder).mtimeMs < graceMs) return false;
    rmSync(folder, { recursive: true, force: true });
    return true;
  });
}
