// Holds ONNX Runtime sessions and the stores of tensors in the thread that it is made in.
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { GraphError, messageOf, OptionError } from '../../errors.js';
import { formatType, type TensorType } from '../../graph/graph.js';
import type { TensorData } from '../../graph/tensor.js';
import { asBits, fromRuntime, type OnnxRuntime, toRuntime } from '../runtime-tensor.js';
import { type Exchange, free, freeReplaced, TensorStore } from '../tensor-store.js';
import { checkDecision, checkUpdates, isAccepted } from '../updates.js';
import { type CompileRequest, copyTensor, EngineError, type Host, type Tensors } from './host.js';

interface Compiled {
  readonly request: CompileRequest;
  readonly session: InferenceSession;
  /** The last run's updates, while they can be undone. */
  lastUpdates: Exchange | undefined;
}

export class SessionHost implements Host {
  readonly #ort: OnnxRuntime;
  readonly #options: (request: CompileRequest) => InferenceSession.SessionOptions;
  readonly #during: <T>(task: () => Promise<T>) => Promise<T>;
  readonly #programs = new Map<number, Compiled>();
  readonly #stores = new Map<number, TensorStore>();
  #compiled = 0;
  #closed = false;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param options settings of each program's session
   * @param during wraps each call when it begins
   */
  constructor(
    ort: OnnxRuntime,
    options: (request: CompileRequest) => InferenceSession.SessionOptions,
    during: <T>(task: () => Promise<T>) => Promise<T> = (task) => task(),
  ) {
    this.#ort = ort;
    this.#options = options;
    this.#during = during;
  }

  compile(request: CompileRequest): Promise<number> {
    return this.#inOrder(async () => {
      checkUpdates(request);
      checkDecision(request);
      const session = await this.#ort.InferenceSession.create(request.bytes, this.#options(request)).catch((error) => {
        throw new GraphError(`ONNX Runtime refuses the graph '${request.name}': ${messageOf(error)}`, { cause: error });
      });
      this.#compiled += 1;
      // The bytes have been read; a map entry must not hold them.
      const small = { ...request, bytes: new Uint8Array(0) };
      this.#programs.set(this.#compiled, { request: small, session, lastUpdates: undefined });
      return this.#compiled;
    });
  }

  run(program: number, feeds: Tensors): Promise<Record<string, TensorData>> {
    return this.#inOrder(async () => {
      const compiled = this.#program(program);
      const { request, session } = compiled;
      const inputs = this.#inputs(request, feeds);
      const results = await session.run(inputs, [...request.outputs.keys()]).catch((error) => {
        throw new GraphError(`program '${request.name}' failed: ${messageOf(error)}`, { cause: error });
      });
      return this.#take(compiled, results as Readonly<Record<string, Tensor>>);
    });
  }

  undo(program: number): Promise<void> {
    return this.#inOrder(async () => {
      const compiled = this.#program(program);
      const { request, lastUpdates } = compiled;
      if (!request.undoable) {
        throw new OptionError(`program '${request.name}' keeps nothing to undo: compile it with { undoable: true }`);
      }
      if (!lastUpdates) throw new EngineError(`program '${request.name}' has no run to undo, or it was undone already`);
      this.#store(request.store).undo(lastUpdates, `the last run of program '${request.name}'`);
      compiled.lastUpdates = undefined;
    });
  }

  release(program: number): Promise<void> {
    return this.#inOrder(() => this.#release(program));
  }

  write(store: number, tensors: Tensors): Promise<void> {
    return this.#inOrder(async () => {
      const entries = Object.entries(tensors).map(
        ([name, value]) => [name, toRuntime(this.#ort, value, `the tensor '${name}'`)] as const,
      );
      freeReplaced(this.#store(store).exchange(entries));
    });
  }

  read(store: number, names: readonly string[]): Promise<Record<string, TensorData>> {
    return this.#inOrder(async () => {
      const stored = this.#store(store);
      const tensors: Record<string, TensorData> = {};
      for (const name of names) {
        const value = stored.get(name);
        if (!value) throw new OptionError(`the store holds no tensor '${name}'; it holds ${list(stored.names())}`);
        // A tensor on a device moves to this side with its first reading, and back with the next run.
        if (value.location !== 'cpu') await value.getData(true);
        tensors[name] = copyTensor(fromRuntime(value, `the tensor '${name}'`));
      }
      return tensors;
    });
  }

  forget(store: number, names: readonly string[]): Promise<void> {
    return this.#inOrder(async () => {
      const stored = this.#store(store);
      for (const name of names) stored.delete(name);
    });
  }

  drop(stores: readonly number[]): Promise<void> {
    return this.#inOrder(() => this.#drop(new Set(stores)));
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    await this.#drop(new Set(this.#stores.keys()));
  }

  async #drop(stores: ReadonlySet<number>): Promise<void> {
    for (const [program, { request }] of this.#programs) if (stores.has(request.store)) await this.#release(program);
    for (const store of stores) {
      this.#stores.get(store)?.clear();
      this.#stores.delete(store);
    }
  }

  async #release(program: number): Promise<void> {
    const compiled = this.#programs.get(program);
    this.#programs.delete(program);
    freeReplaced(compiled?.lastUpdates);
    await compiled?.session.release();
  }

  #program(program: number): Compiled {
    const compiled = this.#programs.get(program);
    if (!compiled) throw new EngineError('this program has been released: compile its graph again');
    return compiled;
  }

  #store(store: number): TensorStore {
    const known = this.#stores.get(store);
    if (known) return known;
    const created = new TensorStore();
    this.#stores.set(store, created);
    return created;
  }

  /** Sessions share stores and the runtime's threads, so one thing happens at a time. */
  #inOrder<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(() => {
      if (this.#closed) throw new EngineError('the engine was closed before this call began');
      return this.#during(task);
    });
    this.#last = result.catch(() => undefined);
    return result;
  }

  #inputs(request: CompileRequest, feeds: Tensors): Record<string, Tensor> {
    for (const name of Object.keys(feeds)) {
      if (request.inputs.has(name)) continue;
      throw new OptionError(`program '${request.name}' has no input '${name}'; it has ${list(request.inputs.keys())}`);
    }
    const store = this.#store(request.store);
    const inputs: Record<string, Tensor> = {};
    for (const [name, type] of request.inputs) {
      const fed = feeds[name];
      const where = `input '${name}' of program '${request.name}'`;
      const value = fed ? toRuntime(this.#ort, fed, where) : store.get(name);
      if (!value) {
        throw new OptionError(
          `${where} is neither fed nor stored: feed ${formatType(type)}, or write '${name}' to the store`,
        );
      }
      checkType(where, type, value);
      inputs[name] = value;
    }
    return inputs;
  }

  /** Store a run's updates, if they are accepted, and return its other outputs. */
  #take(compiled: Compiled, results: Readonly<Record<string, Tensor>>): Record<string, TensorData> {
    const { request } = compiled;
    const returned: Record<string, TensorData> = {};
    const updates = new Map<string, Tensor>();
    for (const output of request.outputs.keys()) {
      const value = results[output] as Tensor; // the session returns each output that it is asked for
      const stored = request.updates.get(output);
      if (stored === undefined) {
        returned[output] = fromRuntime(value, `output '${output}' of program '${request.name}'`);
      } else {
        updates.set(stored, value.type === 'float16' && value.location === 'cpu' ? asBits(value) : value);
      }
    }
    let accepted = false;
    try {
      accepted = isAccepted(request, returned);
    } finally {
      if (!accepted) for (const value of updates.values()) free(value);
    }
    if (!accepted || updates.size === 0) return returned;
    const exchange = this.#store(request.store).exchange(updates);
    freeReplaced(request.undoable ? compiled.lastUpdates : exchange);
    if (request.undoable) compiled.lastUpdates = exchange;
    return returned;
  }
}

function checkType(where: string, { dtype, shape }: TensorType, value: Tensor): void {
  const fits =
    value.type === dtype &&
    value.dims.length === shape.length &&
    shape.every((size, axis) => typeof size === 'string' || size === value.dims[axis]);
  if (fits) return;
  throw new OptionError(`${where} is ${formatType({ dtype, shape })}, but got ${value.type}[${value.dims.join(', ')}]`);
}

function list(names: Iterable<string>): string {
  const all = [...names];
  const listed = all.slice(0, 12).map((name) => `'${name}'`);
  if (all.length > listed.length) listed.push(`${all.length - listed.length} more`);
  return listed.length > 0 ? listed.join(', ') : 'none';
}
