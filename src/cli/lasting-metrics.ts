// Metrics that never end a run: if the file cannot be written any more, a warning says so once and the run goes on, since its
// parameters are worth more than its log.
import { FileError, messageOf } from '../errors.js';
import { isDiskFull, systemCode } from '../files/write.js';
import type { MetricsFile } from '../reporting/metrics-file.js';
import type { StepRecord } from '../training/run-record.js';

export class LastingMetrics {
  readonly #open: () => Promise<MetricsFile>;
  readonly #warn: (line: string) => void;
  #file: MetricsFile | undefined;
  #hasFailed = false;

  /** @param open called at the first step */
  constructor(open: () => Promise<MetricsFile>, warn: (line: string) => void) {
    this.#open = open;
    this.#warn = warn;
  }

  /** Append a step, unless an earlier one failed. */
  async append(step: StepRecord): Promise<void> {
    if (this.#hasFailed) return;
    try {
      this.#file ??= await this.#open();
      this.#file.append(step);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Bring what was appended to the disk. */
  sync(): void {
    try {
      this.#file?.sync();
    } catch (error) {
      this.#fail(error);
    }
  }

  close(): void {
    try {
      this.#file?.close();
    } catch (error) {
      this.#fail(error);
    }
    this.#file = undefined;
  }

  #fail(error: unknown): void {
    if (!(error instanceof FileError) && systemCode(error) === undefined) throw error;
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#warn(`Warning: the metrics end here, and the run goes on: ${messageOf(error)}`);
  }
}

/**
 * Save with `save`; if the disk is full, once more after `makeRoom`.
 * @throws what the last call of `save` throws
 */
export async function saveWithRoom<T>(save: () => Promise<T>, makeRoom: () => Promise<void>): Promise<T> {
  try {
    return await save();
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    await makeRoom();
    return await save();
  }
}
