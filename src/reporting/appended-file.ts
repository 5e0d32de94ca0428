// A file that grows: what is appended is handed to the operating system at once, so that it survives this process.
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { FileError } from '../errors.js';
import { advice } from '../files/write.js';

export class AppendedFile {
  readonly path: string;
  #descriptor: number | undefined;

  /**
   * Open a file, which is made if need be.
   * @param flag `ax` for a file that must not be there yet
   * @throws FileError if that is not possible
   */
  constructor(path: string, flag: 'a' | 'ax' = 'a') {
    this.path = path;
    try {
      this.#descriptor = openSync(path, flag);
    } catch (cause) {
      throw new FileError(`cannot append to '${path}': ${advice(cause)}`, { cause });
    }
  }

  /** @throws FileError if it cannot be written */
  append(content: Uint8Array | string): void {
    try {
      if (this.#descriptor === undefined) throw new Error('it is closed');
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      for (let written = 0; written < bytes.length; ) written += writeSync(this.#descriptor, bytes, written);
    } catch (cause) {
      throw new FileError(`cannot append to '${this.path}': ${advice(cause)}`, { cause });
    }
  }

  /** Sync the file to the disk and close it; further calls do nothing. */
  close(): void {
    if (this.#descriptor === undefined) return;
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}
