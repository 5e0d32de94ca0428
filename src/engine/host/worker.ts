// A host that lives in a worker thread, so that the event loop stays free while programs run.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { TensorData } from '../../graph/tensor.js';
import { ExitGate } from './exit-gate.js';
import { type CompileRequest, EngineError, type Host, type Tensors } from './host.js';
import { buffersOf, decodeError, type Greeting, type Method, type Reply, type WorkerData } from './protocol.js';

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Start the worker and wait until it has loaded its runtime. @throws EngineError, UnsupportedError if it does not start */
export async function startWorkerHost(script: URL, settings: unknown): Promise<Host> {
  const gate = new ExitGate();
  // Flags of the process (`--input-type`, loaders) are meant for the caller's script, not for this one.
  const worker = new Worker(script, {
    workerData: { settings, gate: gate.memory } satisfies WorkerData,
    name: 'cgfac engine',
    execArgv: [],
  });
  const [greeting] = (await once(worker, 'message').catch((error: Error) => {
    throw new EngineError(
      `the engine's worker thread did not start from ${script}: ${error.message}. ` +
        'If cgfac is bundled, leave it external or make the engine with { worker: false }',
      { cause: error },
    );
  })) as [Greeting];
  if (!greeting.ready) {
    await worker.terminate();
    throw decodeError(greeting.error);
  }
  return new WorkerHost(worker, gate);
}

class WorkerHost implements Host {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  readonly #ended: Promise<void>;
  #calls = 0;
  #failure: EngineError | undefined;

  constructor(worker: Worker, gate: ExitGate) {
    this.#worker = worker;
    worker.on('message', (reply: Reply) => this.#settle(reply));
    worker.on('error', (error) => this.#fail(`the engine's worker thread crashed: ${error.message}`, error));
    // An idle engine does not keep the process alive; calls under way do. Listening to messages, above, has kept it so far.
    worker.unref();
    const onExit = () => gate.shut();
    process.on('exit', onExit);
    this.#ended = new Promise((resolve) => {
      worker.on('exit', (code) => {
        process.off('exit', onExit);
        this.#fail(`the engine's worker thread ended with code ${code}`);
        resolve();
      });
    });
  }

  compile(request: CompileRequest): Promise<number> {
    return this.#call('compile', [request]);
  }
  run(program: number, feeds: Tensors): Promise<Record<string, TensorData>> {
    return this.#call('run', [program, feeds]);
  }
  undo(program: number): Promise<void> {
    return this.#call('undo', [program]);
  }
  release(program: number): Promise<void> {
    return this.#call('release', [program]);
  }
  write(store: number, tensors: Tensors): Promise<void> {
    return this.#call('write', [store, tensors]);
  }
  read(store: number, names: readonly string[]): Promise<Record<string, TensorData>> {
    return this.#call('read', [store, names]);
  }
  forget(store: number, names: readonly string[]): Promise<void> {
    return this.#call('forget', [store, names]);
  }
  drop(stores: readonly number[]): Promise<void> {
    return this.#call('drop', [stores]);
  }

  /** Calls under way are rejected at once; the worker ends when the program that runs now has run. */
  async close(): Promise<void> {
    if (!this.#failure) {
      this.#fail('the engine was closed while this call was under way');
      this.#worker.ref();
      this.#worker.postMessage({ id: 0, method: 'close', args: [] });
    }
    await this.#ended;
  }

  #call<T>(method: Method, args: readonly unknown[]): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure) {
        reject(new EngineError(this.#failure.message, { cause: this.#failure }));
        return;
      }
      this.#calls += 1;
      this.#worker.postMessage({ id: this.#calls, method, args }, buffersOf(args));
      this.#pending.set(this.#calls, { resolve: resolve as (value: unknown) => void, reject });
      this.#worker.ref();
    });
  }

  #settle(reply: Reply): void {
    const pending = this.#pending.get(reply.id);
    if (!pending) return; // closed meanwhile
    this.#pending.delete(reply.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if ('error' in reply) pending.reject(decodeError(reply.error));
    else pending.resolve(reply.value);
  }

  #fail(message: string, cause?: Error): void {
    this.#failure ??= new EngineError(message, { cause });
    for (const { reject } of this.#pending.values()) reject(this.#failure);
    this.#pending.clear();
  }
}
