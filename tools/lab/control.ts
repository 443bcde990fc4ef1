// A lab is played with over a Unix socket: its process does what is asked, wherever its namespaces are.
//
// A line of JSON asks; lines of JSON answer: pieces of output, and at last how it ended.
import { spawn } from 'node:child_process';
import { connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { labsFolder, socketName } from './labs.js';
import type { Namespace } from './namespace.js';
import { LabError } from './process.js';

export interface Ask {
  verb: string;
  words: string[];
}

interface Piece {
  out?: string;
  err?: string;
  exit?: number;
}

export type Verb = (words: string[], say: (text: string) => void) => Promise<void> | void;
export type Verbs = Record<string, Verb>;
type FindMachine = (name: string) => Namespace;

/** Serves `exec` and the verbs until the process ends. */
export function serveControl(folder: string, verbs: Verbs, find: FindMachine): Promise<void> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    createInterface(socket).once('line', (line) => {
      const tell = (piece: Piece) => socket.write(`${JSON.stringify(piece)}\n`);
      answer(verbs, find, JSON.parse(line) as Ask, socket, tell).then(
        (exit) => socket.end(`${JSON.stringify({ exit })}\n`),
        (error: unknown) => {
          tell({ err: `${error instanceof Error ? error.message : String(error)}\n` });
          socket.end(`${JSON.stringify({ exit: 1 })}\n`);
        },
      );
    });
  });
  // It keeps no process alive that has nothing else to do.
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path.join(folder, socketName), () => resolve());
  });
}

async function answer(
  verbs: Verbs,
  find: FindMachine,
  { verb: name, words }: Ask,
  socket: Socket,
  tell: (piece: Piece) => void,
): Promise<number> {
  if (name === 'exec') {
    const [machine = '', ...command] = words;
    return execute(find(machine), command, socket, tell);
  }
  const verb = verbs[name];
  if (!verb)
    throw new LabError(`unknown: ${name}; there are exec, ${Object.keys(verbs).join(', ')}`);
  await verb(words, (text) => tell({ out: `${text}\n` }));
  return 0;
}

function execute(
  namespace: Namespace,
  [command, ...args]: string[],
  socket: Socket,
  tell: (piece: Piece) => void,
): Promise<number> {
  if (command === undefined) throw new LabError('exec MACHINE COMMAND...');
  const child = spawn('nsenter', namespace.enter(command, args), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.on('data', (data: Buffer) => tell({ out: data.toString() }));
  child.stderr.on('data', (data: Buffer) => tell({ err: data.toString() }));
  socket.on('close', () => child.kill());
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}

/** The other end. Returns the exit code. */
export function askLab(id: string, ask: Ask): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(path.join(labsFolder(), id, socketName));
    socket.on('error', reject);
    socket.on('connect', () => socket.write(`${JSON.stringify(ask)}\n`));
    let exit = 1;
    createInterface(socket).on('line', (line) => {
      const piece = JSON.parse(line) as Piece;
      if (piece.out !== undefined) process.stdout.write(piece.out);
      if (piece.err !== undefined) process.stderr.write(piece.err);
      if (piece.exit !== undefined) exit = piece.exit;
    });
    socket.on('close', () => resolve(exit));
  });
}
