// Lets a process end only between two native calls of its worker: onnxruntime-node aborts the process if its thread is
// stopped while it computes.
import { EngineError } from './host.js';

const idle = 0;
const busy = 1;
const shut = 2;

/** Shared by the worker, which computes, and the main thread, which ends. */
export class ExitGate {
  /** The shared memory, to be sent to the other thread. */
  readonly memory: SharedArrayBuffer;
  readonly #state: Int32Array;

  constructor(memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#state = new Int32Array(memory);
  }

  /** Run a task that computes, one at a time; in the worker. @throws EngineError if the process is ending */
  async during<T>(task: () => Promise<T>): Promise<T> {
    if (Atomics.compareExchange(this.#state, 0, idle, busy) !== idle) throw new EngineError('the process is ending');
    try {
      return await task();
    } finally {
      Atomics.store(this.#state, 0, idle);
      Atomics.notify(this.#state, 0);
    }
  }

  /** Wait until the running task is done, and let none begin after it; in the main thread. */
  shut(): void {
    while (Atomics.compareExchange(this.#state, 0, idle, shut) === busy) Atomics.wait(this.#state, 0, busy);
  }
}
