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
  /** null: there are none, a number: so many are in the window. */
  | { readonly bytes: Uint8Array | number | null }
  | { readonly sequence: number }
  | { readonly brackets: Bracket[] }
  | { readonly failed: string };

/** Set by the answering side when the answer is in the port. */
const ANSWERED = 1;

/** What both threads share. */
export interface LogShare {
  readonly flag: Int32Array;
  /** Where records are handed over, if they fit. */
  readonly window: Uint8Array;
}

const WINDOW_BYTES = 8 << 20;

export function newLogShare(): LogShare {
  return {
    flag: new Int32Array(new SharedArrayBuffer(4)),
    window: new Uint8Array(new SharedArrayBuffer(WINDOW_BYTES)),
  };
}

/** In the thread of the log. */
export class LogAnswers {
  /** The other side will look for more by itself. */
  private told = false;

  constructor(
    private readonly log: Log,
    private readonly port: MessagePort,
    private readonly share: LogShare,
  ) {
    port.on('message', (question: Question) => this.answer(question));
  }

  /** True: the other side does not know yet that there is more. */
  isNews(): boolean {
    const isNews = !this.told;
    this.told = true;
    return isNews;
  }

  private answer(question: Question): void {
    const { port } = this;
    const { flag } = this.share;
    this.told = false;
    let answer: Answer;
    try {
      answer = this.find(question);
    } catch (error) {
      answer = { failed: messageOf(error) };
    }
    // Given away, not copied once more.
    const bytes = 'bytes' in answer ? answer.bytes : null;
    port.postMessage(answer, bytes instanceof Uint8Array ? [bytes.buffer as ArrayBuffer] : []);
    Atomics.store(flag, 0, ANSWERED);
    Atomics.notify(flag, 0);
  }

  private find(question: Question): Answer {
    const { log } = this;
    switch (question.ask) {
      case 'read': {
        // Who has nothing begins with what there is: the log of a backup that joined later.
        const after = question.after === 0 ? log.first - 1 : question.after;
        return { bytes: this.handOver(log.readPieces(after, question.most)) };
      }
      case 'consistent':
        return { sequence: log.consistent(question.sequence) };
      case 'brackets':
        return { brackets: log.bracketsAt(question.sequence).list() };
    }
  }

  private handOver(pieces: readonly Buffer[]): Uint8Array | number | null {
    const { window } = this.share;
    const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    if (bytes === 0) return null;
    const to = bytes <= window.length ? window : new Uint8Array(bytes);
    pieces.reduce((at, piece) => (to.set(piece, at), at + piece.length), 0);
    return to === window ? bytes : to;
  }
}

/** In the thread of replay. */
export class RemoteLog implements LogView {
  private readonly listeners = new Set<() => void>();

  constructor(
    private readonly port: MessagePort,
    private readonly share: LogShare,
  ) {}

  private ask(question: Question): Answer {
    const { flag } = this.share;
    Atomics.store(flag, 0, 0);
    this.port.postMessage(question);
    // The notification of the answer before this one may come only now: it is no answer.
    while (Atomics.load(flag, 0) !== ANSWERED) Atomics.wait(flag, 0, 0);
    const received = receiveMessageOnPort(this.port) as { message: Answer } | undefined;
    if (!received) throw ntsError('NTS_ERR_INTERNAL', { what: 'the log gave no answer' });
    const { message } = received;
    if ('failed' in message) throw ntsError('NTS_ERR_REPL_WINDOW', { what: message.failed });
    return message;
  }

  /** Good until the next one. */
  read(after: number, most?: number): Batch | null {
    const answer = this.ask({ ask: 'read', after, most }) as { bytes: Uint8Array | number | null };
    const { bytes } = answer;
    if (bytes === null) return null;
    if (typeof bytes === 'number') {
      return parseRecords(Buffer.from(this.share.window.buffer, 0, bytes));
    }
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
