// One HTTP request from a given client address, by hand: no connection is shared and none outlives its attempt.
import { connect } from 'node:net';

export function httpGet(
  target: string,
  source: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: target, port: 80, localAddress: source, noDelay: true });
    let text = '';
    const fail = (error: Error) => {
      finish();
      socket.destroy();
      reject(error);
    };
    const stop = () => fail(new Error('stopped'));
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    };
    const timer = setTimeout(() => fail(new Error('no answer in time')), timeoutMs);
    signal?.addEventListener('abort', stop);
    socket.on('error', fail);
    socket.on('data', (data) => (text += data.toString()));
    socket.on('connect', () =>
      socket.end(`GET / HTTP/1.1\r\nHost: cluster\r\nConnection: close\r\n\r\n`),
    );
    socket.on('close', () => {
      finish();
      const server = /"server":"([^"]*)"/.exec(text)?.[1];
      if (server === undefined) reject(new Error('closed without an answer'));
      else resolve(server);
    });
  });
}
