/** Requests of the command line (and of other nodes) to the service: one in, progress, one answer out. */
import { z } from 'zod';
import { isNtsError, messageOf, ntsError } from '../common/errors.js';
import type { Channel } from '../node/channel.js';
import { writeMessage } from '../node/message.js';
import { commands } from './control-commands.js';
import { type Control, plainWords } from './protocol.js';
import type { ReplNode } from './service.js';

/** What a command may use beside its arguments. */
export interface ControlCall {
  readonly node: ReplNode;
  /** Aborted when who asked is gone. */
  readonly signal: AbortSignal;
  readonly progress: (value: unknown) => void;
}

export interface ControlCommand {
  run(call: ControlCall, given: unknown): Promise<unknown>;
}

export function controlCommand<T>(
  schema: z.ZodType<T>,
  run: (call: ControlCall, values: T) => Promise<unknown>,
): ControlCommand {
  return {
    async run(call, given) {
      const parsed = schema.safeParse(given);
      if (!parsed.success) {
        const { path = [], message = '' } = parsed.error.issues[0] ?? {};
        throw ntsError('NTS_ERR_USAGE', { what: `${path.join('.')}: ${message}` });
      }
      return run(call, parsed.data);
    },
  };
}

export async function runControl(node: ReplNode, channel: Channel, ask: Control): Promise<void> {
  const { stream } = channel;
  const over = new AbortController();
  void channel.closed.then(() => over.abort());
  // Who asks reads; that he goes is to be heard of.
  stream.on('data', () => undefined);
  stream.on('end', () => over.abort());
  let writing: Promise<void> = Promise.resolve();
  const say = (value: unknown): Promise<void> => {
    writing = writing.then(() => writeMessage(stream, value)).catch(() => undefined);
    return writing;
  };
  try {
    const command = commands[ask.command];
    if (!command) {
      throw ntsError('NTS_ERR_USAGE', { what: `${ask.command} is no command of this version` });
    }
    const call = {
      node,
      signal: over.signal,
      progress: (value: unknown) => void say({ progress: value }),
    };
    const result = await command.run(call, ask.arguments);
    await say({ result: result ?? null });
  } catch (error) {
    const known = isNtsError(error) && error.kind === 'user';
    if (!known) node.context.log.error({ err: error, command: ask.command }, 'a command failed');
    const failed = isNtsError(error) ? error.code : 'NTS_ERR_INTERNAL';
    await say({ failed, why: plainWords(messageOf(error)) });
  }
  stream.end();
}
