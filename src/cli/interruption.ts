// Ctrl-C: the first lets the running step finish and keeps what was done, the second ends the process at once.

/** Exit code of a run that was interrupted: 128 + SIGINT. */
export const interruptedExitCode = 130;

export interface Interruption {
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Gives the signals back. */
  dispose(): void;
}

/** @param tell called once, with what happens next */
export function interruption(tell: (line: string) => void): Interruption {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(interruptedExitCode);
    controller.abort();
    tell('Stopping after this step and saving; Ctrl-C again to quit at once.');
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    signal: controller.signal,
    dispose() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}
