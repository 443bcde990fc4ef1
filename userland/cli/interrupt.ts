/** Ctrl-C, for commands that run until it. */
let interrupted: AbortController | null = null;

/** Aborts at the first SIGINT or SIGTERM; the second ends the program as usual. */
export function untilInterrupted(): AbortSignal {
  if (!interrupted) {
    const controller = (interrupted = new AbortController());
    const stop = (): void => {
      process.off('SIGINT', stop).off('SIGTERM', stop);
      controller.abort();
    };
    process.on('SIGINT', stop).on('SIGTERM', stop);
  }
  return interrupted.signal;
}
