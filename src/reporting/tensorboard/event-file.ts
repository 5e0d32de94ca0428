// A file of events in a folder that TensorBoard watches: each event is handed to the operating system as soon as it is written. A run
// that is resumed begins a new file, and takes out of the older ones what they have of later steps: no step is there twice, and a
// TensorBoard that has read them already drops it, too.
import { readdir, readFile, truncate } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { FileError, OptionError } from '../../errors.js';
import { advice, ensureWritableFolder, systemCode } from '../../files/write.js';
import { AppendedFile } from '../appended-file.js';
import { fileVersionEvent, sessionStartEvent, stepOf } from './events.js';
import { framed, records } from './records.js';

const namePattern = /^events\.out\.tfevents\.(\d+)\./;

export class EventFile {
  readonly #file: AppendedFile;

  private constructor(path: string) {
    this.#file = new AppendedFile(path, 'ax');
  }

  /**
   * Begin a file for the steps after `resumedAt`, 0 for a new run.
   * @throws OptionError if the run is new and the folder has events of another one; FileError, OptionError if the folder cannot be
   *   made or its files cannot be changed
   */
  static async open(folder: string, resumedAt: number, now = Date.now()): Promise<EventFile> {
    await ensureWritableFolder(folder);
    const older = (await readdir(folder)).filter((name) => namePattern.test(name));
    if (older.length > 0 && resumedAt === 0) {
      throw new OptionError(`'${folder}' holds events of another run (${older[0]}): give each run a folder of its own`);
    }
    for (const name of older) await cutAfter(join(folder, name), resumedAt);
    // TensorBoard reads files in the order of their names.
    const seconds = Math.max(Math.floor(now / 1000), ...older.map((name) => 1 + Number(namePattern.exec(name)?.[1])));
    const file = new EventFile(
      join(folder, `events.out.tfevents.${String(seconds).padStart(10, '0')}.${host()}.${process.pid}.0`),
    );
    file.append(fileVersionEvent(now / 1000));
    if (older.length > 0) file.append(sessionStartEvent(now / 1000, resumedAt + 1));
    return file;
  }

  /** @throws FileError if the event cannot be written */
  append(event: Uint8Array): void {
    this.#file.append(framed(event));
  }

  /** Sync the file to the disk and close it; further calls do nothing. */
  close(): void {
    this.#file.close();
  }
}

/** The host's name with the characters of host names only. */
const host = (): string => hostname().replace(/[^\w-]+/g, '-') || 'localhost';

/** Cut a file before its first event of a later step, or where it is torn. */
async function cutAfter(path: string, step: number): Promise<void> {
  try {
    const file = await readFile(path);
    let end = 0;
    for (const found of records(file)) {
      if (stepOf(found.record) > step) break;
      end = found.end;
    }
    if (end < file.length) await truncate(path, end);
  } catch (cause) {
    if (systemCode(cause) === undefined) throw cause;
    throw new FileError(`cannot take the events after step ${step} out of '${path}': ${advice(cause)}`, { cause });
  }
}
