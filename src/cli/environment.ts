// The environment and the command line of a run, for its report.
import { cpus } from 'node:os';
import { packageVersion } from '../api/package-version.js';
import { describeRuntime } from '../engine/node-runtime.js';

/** Return versions, threads, processor and date, by name. */
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

/** Return the command as it was typed, quoted if a shell needs it. */
export function typedCommand(parameters: readonly string[] = process.argv.slice(2)): string {
  const quoted = parameters.map((word) =>
    /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`,
  );
  return ['cgfac', ...quoted].join(' ');
}
