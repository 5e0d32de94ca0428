// Where a run ran and what was typed: what a report says about itself.
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { describeRuntime } from '../engine/node-runtime.js';

/** The version of this package. */
export async function packageVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return String((JSON.parse(text) as { version: unknown }).version);
}

/** Versions, threads and processor. */
export async function describeEnvironment(threads: number): Promise<Record<string, string>> {
  const runtime = await describeRuntime();
  return {
    cgfac: await packageVersion(),
    'ONNX Runtime': runtime.version,
    'Node.js': process.version,
    platform: runtime.platform,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    threads: String(threads),
    date: new Date().toISOString().slice(0, 10),
  };
}

/** The command as it was typed, quoted where a shell needs it. */
export function typedCommand(parameters: readonly string[] = process.argv.slice(2)): string {
  const quoted = parameters.map((word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`,
  );
  return ['cgfac', ...quoted].join(' ');
}
