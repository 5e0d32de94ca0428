// When a process began, as a text to compare: ids of processes are used again, by other programs and after a restart.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** Return when a process began; undefined if it does not run, or if this system does not tell. */
export async function processStart(id: number): Promise<string | undefined> {
  try {
    if (process.platform === 'win32') return undefined;
    return process.platform === 'linux' ? await fromProc(id) : await fromPs(id);
  } catch {
    return undefined; // it has ended, or /proc is hidden
  }
}

/** Ticks since the start of the machine, and which start that was: proc(5). */
async function fromProc(id: number): Promise<string | undefined> {
  const [stat, boot] = await Promise.all([
    readFile(`/proc/${id}/stat`, 'utf8'),
    readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
  ]);
  // The program's name, in parentheses, may hold spaces; the start is field 22, and the first one after the name is field 3.
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[22 - 3];
  return ticks === undefined ? undefined : `${boot.trim()} ${ticks}`;
}

async function fromPs(id: number): Promise<string | undefined> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(id)], {
    env: { ...process.env, LC_ALL: 'C' },
  });
  return stdout.trim() || undefined;
}
