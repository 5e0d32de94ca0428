// A metrics.jsonl that grows while it is read: each look takes the lines that were written since the last one.
import { open } from 'node:fs/promises';
import { FileError } from '../../errors.js';
import { advice, systemCode } from '../../files/write.js';
import type { StepRecord } from '../../training/run-record.js';

const lineFeed = 0x0a;
/** Bytes of one read. */
const blockLength = 1 << 20;

export class MetricsTail {
  readonly path: string;
  #records: StepRecord[] = [];
  /** The position behind the last whole line. */
  #position = 0;
  #file = '';

  constructor(path: string) {
    this.path = path;
  }

  get records(): readonly StepRecord[] {
    return this.#records;
  }

  /**
   * Read what was appended. A file that is another one than at the last look, or shorter, is read anew: its run was replaced or
   * resumed.
   * @returns whether something changed; false also while there is no file
   * @throws FileError if it cannot be read
   */
  async look(): Promise<boolean> {
    try {
      const handle = await open(this.path, 'r');
      try {
        const { size, dev, ino } = await handle.stat();
        const file = `${dev}:${ino}`;
        const isNew = size < this.#position || file !== this.#file;
        if (isNew) [this.#records, this.#position, this.#file] = [[], 0, file];
        const before = this.#position;
        await this.#read(
          size,
          async (block, position) => (await handle.read(block, 0, block.length, position)).bytesRead,
        );
        return isNew || this.#position > before;
      } finally {
        await handle.close();
      }
    } catch (cause) {
      if (systemCode(cause) === 'ENOENT') return false;
      throw new FileError(`cannot read '${this.path}': ${advice(cause)}`, { cause });
    }
  }

  async #read(size: number, read: (block: Buffer, position: number) => Promise<number>): Promise<void> {
    let rest = Buffer.alloc(0);
    for (let position = this.#position; position < size; ) {
      const block = Buffer.alloc(Math.min(blockLength, size - position));
      const count = await read(block, position);
      if (count === 0) return; // cut since
      position += count;
      const bytes = Buffer.concat([rest, block.subarray(0, count)]);
      const end = bytes.lastIndexOf(lineFeed) + 1;
      this.#take(bytes.toString('utf8', 0, end));
      this.#position += end;
      rest = bytes.subarray(end);
    }
  }

  #take(lines: string): void {
    for (const line of lines.split('\n')) {
      const record = recordOf(line);
      if (!record) continue;
      // A run that was resumed between two looks writes steps again.
      while ((this.#records.at(-1)?.step ?? 0) >= record.step) this.#records.pop();
      this.#records.push(record);
    }
  }
}

const notFinite: readonly unknown[] = ['NaN', 'Infinity', '-Infinity'];

/** The record of a line; undefined for a line that holds none. */
function recordOf(line: string): StepRecord | undefined {
  if (line === '') return undefined;
  try {
    const record = JSON.parse(line, (_, value) => (notFinite.includes(value) ? Number(value) : value));
    return typeof record?.step === 'number' &&
      typeof record.metrics === 'object' &&
      typeof record.optimizer === 'object'
      ? record
      : undefined;
  } catch {
    return undefined;
  }
}
