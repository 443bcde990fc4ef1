/**
 * The log as replay sees it from its own thread: questions go to the thread that has the log and are waited
 * for. Replay works synchronously, file by file; the log must not wait for it.
 */
import { MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { messageOf, ntsError } from '../common/errors.js';
import { type Bracket, OpenBrackets } from './brackets.js';
import type { Log } from './log.js';
import { type Batch, parseRecords } from './record.js';

/** What replay needs of a log. */
export type LogView = Pick<Log, 'read' | 'consistent' | 'bracketsAt' | 'onChange'>;

type Question =
  | { readonly ask: 'read'; readonly after: number; readonly most: number | undefined }
  | { readonly ask: 'consistent'; readonly sequence: number | undefined }
  | { readonly ask: 'brackets'; readonly sequence: number };

type Answer =
  | { readonly bytes: Uint8Array | null }
  | { readonly sequence: number }
  | { readonly brackets: Bracket[] }
  | { readonly failed: string };

/** Set by the answering side when the answer is in the port. */
const ANSWERED = 1;

/** In the thread of the log. */
export function answerLog(log: Log, port: MessagePort, flag: Int32Array): void {
  const answer = (question: Question): Answer => {
    switch (question.ask) {
      case 'read': {
        // Who has nothing begins with what there is: the log of a backup that joined later.
        const after = question.after === 0 ? log.first - 1 : question.after;
        return { bytes: log.readCopy(after, question.most) };
      }
      case 'consistent':
        return { sequence: log.consistent(question.sequence) };
      case 'brackets':
        return { brackets: log.bracketsAt(question.sequence).list() };
    }
  };
  port.on('message', (question: Question) => {
    let answered: Answer;
    try {
      answered = answer(question);
    } catch (error) {
      answered = { failed: messageOf(error) };
    }
    // Given away, not copied once more.
    const given =
      'bytes' in answered && answered.bytes ? [answered.bytes.buffer as ArrayBuffer] : [];
    port.postMessage(answered, given);
    Atomics.store(flag, 0, ANSWERED);
    Atomics.notify(flag, 0);
  });
}

/** In the thread of replay. */
export class RemoteLog implements LogView {
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly port: MessagePort,
    private readonly flag: Int32Array,
  ) {}

  private ask(question: Question): Answer {
    Atomics.store(this.flag, 0, 0);
    this.port.postMessage(question);
    // The notification of the answer before this one may come only now: it is no answer.
    while (Atomics.load(this.flag, 0) !== ANSWERED) Atomics.wait(this.flag, 0, 0);
    const received = receiveMessageOnPort(this.port) as { message: Answer } | undefined;
    if (!received) throw ntsError('NTS_ERR_INTERNAL', { what: 'the log gave no answer' });
    const { message } = received;
    if ('failed' in message) throw ntsError('NTS_ERR_REPL_WINDOW', { what: message.failed });
    return message;
  }

  read(after: number, most?: number): Batch | null {
    const { bytes } = this.ask({ ask: 'read', after, most }) as { bytes: Uint8Array | null };
    if (!bytes) return null;
    return parseRecords(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }

  consistent(sequence?: number): number {
    return (this.ask({ ask: 'consistent', sequence }) as { sequence: number }).sequence;
  }

  bracketsAt(sequence: number): OpenBrackets {
    const { brackets } = this.ask({ ask: 'brackets', sequence }) as { brackets: Bracket[] };
    const open = new OpenBrackets();
    for (const { sequence: at, setId, reason } of brackets) {
      open.note({ kind: 'open', sequence: at, set: setId, reason });
    }
    return open;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(): void {
    for (const listener of [...this.listeners]) listener();
  }
}
