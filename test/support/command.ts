// Starts the built command line as a user does.
import { spawn } from 'node:child_process';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `cgfac`; it is sent the signal when stderr first matches `interrupt`. */
export function cgfac(
  parameters: readonly string[],
  interrupt?: RegExp,
  signal: NodeJS.Signals = 'SIGINT',
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['dist/cli/main.js', ...parameters], {
      env: { ...process.env, NO_COLOR: '1' },
    });
    let [stdout, stderr, sent] = ['', '', false];
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      stderr += text;
      if (interrupt && !sent && interrupt.test(stderr)) sent = child.kill(signal);
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}
