/** The asking side of control.ts. */
import { z } from 'zod';
import { type ErrorCode, NtsError, errorCodes, ntsError } from '../common/errors.js';
import { type ConnectOptions, connect } from '../node/channel.js';
import type { LocalNode } from '../node/local-node.js';
import { readMessage, writeMessage } from '../node/message.js';
import { REPL_SERVICE } from './protocol.js';

const LIMIT = 16 << 20;

const answerSchema = z.union([
  z.strictObject({ progress: z.unknown() }),
  z.strictObject({ result: z.unknown() }),
  z.strictObject({ failed: z.string(), why: z.string() }),
]);

export interface AskOptions extends ConnectOptions {
  readonly onProgress?: (value: unknown) => void;
}

/** Runs a command in the service of a node. */
export async function askRepl(
  local: LocalNode,
  node: string,
  command: string,
  values: Readonly<Record<string, unknown>>,
  options: AskOptions = {},
): Promise<unknown> {
  const { onProgress, ...rest } = options;
  const channel = await connect(local, node, REPL_SERVICE, rest);
  const { signal } = options;
  const abort = (): void =>
    channel.close(ntsError('NTS_ERR_CANCELLED', { what: `repl ${command}` }));
  signal?.addEventListener('abort', abort, { once: true });
  try {
    await writeMessage(channel.stream, { ask: 'control', command, arguments: values });
    for (;;) {
      const answer = await readMessage(channel.stream, answerSchema, LIMIT);
      if ('progress' in answer) onProgress?.(answer.progress);
      else if ('failed' in answer) throw failure(node, local.name, answer);
      else return answer.result;
    }
  } finally {
    signal?.removeEventListener('abort', abort);
    channel.close();
  }
}

function failure(
  node: string,
  own: string,
  { failed, why }: { failed: string; why: string },
): NtsError {
  const code = errorCodes().find((one) => one === failed) ?? 'NTS_ERR_PEER_REFUSED';
  const safe: ErrorCode = code === 'NTS_ERR_INTERNAL' ? 'NTS_ERR_PEER_REFUSED' : code;
  return new NtsError(safe, node === own ? why : `node ${node}: ${why}`);
}
