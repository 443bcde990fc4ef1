/** A signal for work that needs certain backups: aborted when one of them is gone. */
import { setMaxListeners } from 'node:events';
import { ntsError } from '../common/errors.js';
import type { Link } from './link.js';

export interface WhileStreaming {
  readonly signal: AbortSignal;
  /** Nobody looks any more; aborts the signal. */
  end(): void;
}

export function whileStreaming(links: readonly Link[], stop: AbortSignal): WhileStreaming {
  const over = new AbortController();
  const signal = AbortSignal.any([stop, over.signal]);
  // Of each file that is under way.
  setMaxListeners(0, signal);
  const gone = (): void => {
    if (links.every((link) => link.isStreaming)) return;
    over.abort(ntsError('NTS_ERR_PEER_UNREACHABLE', { what: 'a backup is gone' }));
  };
  for (const link of links) link.on('change', gone);
  return {
    signal,
    end() {
      over.abort();
      for (const link of links) link.off('change', gone);
    },
  };
}
