/** Connections of those who are no members, or do not behave as such. */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { type ConnectionOptions, type TLSSocket, connect } from 'node:tls';
import { z } from 'zod';
import { readMessage } from '../../../userland/node/message.js';
import type { Endpoint } from '../../../userland/node/names.js';

export async function connectAsStranger(
  to: Endpoint,
  service: string,
  options: ConnectionOptions = {},
): Promise<TLSSocket> {
  const socket = connect({
    ...to,
    ALPNProtocols: [service],
    rejectUnauthorized: false,
    ...options,
  });
  // Node warns where nobody listens when the other side resets the connection later.
  socket.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed in the handshake')));
  });
  return socket;
}

/** The code with which the other side refuses. */
export async function refusalOn(socket: Duplex): Promise<string> {
  const schema = z.object({ refused: z.string() });
  return (await readMessage(socket, schema, 4096)).refused;
}

export async function closed(socket: Duplex): Promise<void> {
  socket.resume();
  if (!socket.closed) await once(socket, 'close');
}
