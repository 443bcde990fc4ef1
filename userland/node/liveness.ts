/** Whether the other end of a channel is still there. */
import type { TLSSocket } from 'node:tls';
import { ntsError } from '../common/errors.js';

/** The system probes a silent connection ten times, once a second, after this. */
const KEEPALIVE_MILLISECONDS = 10_000;

/** A peer that takes nothing for so long is taken for dead. */
const STALL_MILLISECONDS = 60_000;

export interface ChannelLimits {
  /**
   * Writes that make no progress for so many milliseconds end the channel. Progress is seen by whole
   * writes, hence who writes waits for `drain`, and no write is larger than what a slow link takes by then.
   */
  readonly stall?: number;
  /**
   * After a write something must come from the peer within so many milliseconds; default: no limit. It
   * finds a peer whose machine has died with our bytes under way, for which the system takes a quarter of
   * an hour. For services whose peers acknowledge.
   */
  readonly answer?: number | null;
}

/** Ends the connection, with the reason, when `peer` is there no more. */
export function watch(socket: TLSSocket, peer: string, limits: ChannelLimits): void {
  const { stall = STALL_MILLISECONDS, answer = null } = limits;
  // Who uses the stream may listen too; an error that nobody waits for is none of the process.
  socket.on('error', () => undefined);
  socket.setNoDelay(true).setKeepAlive(true, KEEPALIVE_MILLISECONDS);
  socket.setTimeout(stall, () => {
    // Silence is no fault where there is nothing to say.
    if (socket.writableLength > 0) end(`has taken nothing for ${stall / 1000} s`);
  });
  const end = (why: string): void => {
    socket.destroy(ntsError('NTS_ERR_PEER_UNREACHABLE', { what: `${peer} ${why}` }));
  };
  if (answer !== null) {
    watchAnswers(socket, answer, () => end(`has not answered for ${answer / 1000} s`));
  }
}

function watchAnswers(socket: TLSSocket, limit: number, end: () => void): void {
  /** When something was first written since something was last read, and what had been read by then. */
  let asked: { readonly time: number; readonly bytesRead: number } | null = null;
  const write = socket.write.bind(socket) as (...parameters: unknown[]) => boolean;
  // Only the writer's side knows the order of reads and writes; a look now and then does not.
  socket.write = (...parameters: unknown[]): boolean => {
    const { bytesRead } = socket;
    if (asked?.bytesRead !== bytesRead) asked = { time: performance.now(), bytesRead };
    return write(...parameters);
  };
  const look = (): void => {
    if (!asked) return;
    if (socket.bytesRead !== asked.bytesRead) asked = null;
    else if (performance.now() - asked.time >= limit) end();
  };
  const timer = setInterval(look, Math.max(limit / 4, 1));
  socket.once('close', () => clearInterval(timer));
}
