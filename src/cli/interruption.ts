// Signals that end a run: the first lets the running step finish and saves the model, the second ends the process at once. Before
// the first step there is nothing to save: the process ends when its folder is tidy.
import { constants } from 'node:os';

/** Ctrl-C, the usual way to stop a service, and the end of the terminal or of the connection. */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface Interruption {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** 128 + the signal's number, as shells count; undefined without a signal. */
  readonly exitCode: number | undefined;
  /** From now on there is something to save. */
  begin(): void;
  /** Remove the handlers of the signals. */
  dispose(): void;
}

/**
 * Handle the signals that end a run.
 * @param print called once, with a line that says what happens next
 * @param tidy called if a signal comes before `begin`; the process then ends
 */
export function interruption(print: (line: string) => void, tidy: () => Promise<void>): Interruption {
  const controller = new AbortController();
  let exitCode: number | undefined;
  let begun = false;
  const onSignal = (name: NodeJS.Signals) => {
    const code = 128 + (constants.signals[name] ?? 0);
    if (controller.signal.aborted) {
      // Hang-ups come in numbers: from the shell, from the system, and with each line that nobody reads.
      if (name !== 'SIGHUP') process.exit(code);
      return;
    }
    exitCode = code;
    controller.abort();
    if (begun) {
      print('Stopping after this step and saving; Ctrl-C again to quit at once.');
      return;
    }
    print('Interrupted before the first step: nothing was trained, and nothing is saved.');
    void tidy().finally(() => process.exit(code));
  };
  for (const name of signals) process.on(name, onSignal);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    begin() {
      begun = true;
    },
    dispose() {
      for (const name of signals) process.off(name, onSignal);
    },
  };
}
