// Holds ONNX Runtime sessions and the store of tensors in the thread that it is made in.
import type { InferenceSession, Tensor } from 'onnxruntime-common';
import { GraphError, OptionError } from '../errors.js';
import { formatType, type TensorType } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';
import { type CompileRequest, copyTensor, EngineError, type Host, type Tensors } from './host.js';
import { asBits, fromRuntime, type OnnxRuntime, toRuntime } from './runtime-tensor.js';

interface Compiled {
  readonly request: CompileRequest;
  readonly session: InferenceSession;
}

export class SessionHost implements Host {
  readonly #ort: OnnxRuntime;
  readonly #options: (request: CompileRequest) => InferenceSession.SessionOptions;
  readonly #during: <T>(task: () => Promise<T>) => Promise<T>;
  readonly #programs = new Map<number, Compiled>();
  /** Tensors as the runtime returned them: feeding them back is the cheapest way to keep state. */
  readonly #store = new Map<string, Tensor>();
  #compiled = 0;
  #closed = false;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param options settings of each program's session
   * @param during is around each call that has begun
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
      const session = await this.#ort.InferenceSession.create(request.bytes, this.#options(request)).catch((error) => {
        throw new GraphError(`ONNX Runtime refuses the graph '${request.name}': ${messageOf(error)}`, { cause: error });
      });
      this.#compiled += 1;
      // The bytes have been read; a map entry must not keep them.
      this.#programs.set(this.#compiled, { request: { ...request, bytes: new Uint8Array(0) }, session });
      return this.#compiled;
    });
  }

  run(program: number, feeds: Tensors): Promise<Record<string, TensorData>> {
    return this.#inOrder(async () => {
      const compiled = this.#programs.get(program);
      if (!compiled) throw new EngineError('this program has been released: compile its graph again');
      const { request, session } = compiled;
      const inputs = this.#inputs(request, feeds);
      const results = await session.run(inputs, [...request.outputs.keys()]).catch((error) => {
        throw new GraphError(`program '${request.name}' failed: ${messageOf(error)}`, { cause: error });
      });
      return this.#keep(request, results);
    });
  }

  release(program: number): Promise<void> {
    return this.#inOrder(async () => {
      const compiled = this.#programs.get(program);
      this.#programs.delete(program);
      await compiled?.session.release();
    });
  }

  write(tensors: Tensors): Promise<void> {
    return this.#inOrder(async () => {
      const entries = Object.entries(tensors).map(
        ([name, value]) => [name, toRuntime(this.#ort, value, `the tensor '${name}'`)] as const,
      );
      for (const [name, value] of entries) this.#replace(name, value);
    });
  }

  read(names: readonly string[]): Promise<Record<string, TensorData>> {
    return this.#inOrder(async () => {
      const tensors: Record<string, TensorData> = {};
      for (const name of names) {
        const value = this.#store.get(name);
        if (!value) throw new OptionError(`the store holds no tensor '${name}'; it holds ${list(this.#store.keys())}`);
        // A tensor on a device moves to this side with its first reading, and back with the next run.
        if (value.location !== 'cpu') await value.getData(true);
        tensors[name] = copyTensor(fromRuntime(value, `the tensor '${name}'`));
      }
      return tensors;
    });
  }

  forget(names: readonly string[]): Promise<void> {
    return this.#inOrder(async () => {
      for (const name of names) this.#replace(name, undefined);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    for (const { session } of this.#programs.values()) await session.release();
    this.#programs.clear();
    for (const name of [...this.#store.keys()]) this.#replace(name, undefined);
  }

  /** Sessions share the store, so one thing happens at a time. */
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
    const inputs: Record<string, Tensor> = {};
    for (const [name, type] of request.inputs) {
      const fed = feeds[name];
      const where = `input '${name}' of program '${request.name}'`;
      const value = fed ? toRuntime(this.#ort, fed, where) : this.#store.get(name);
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

  #keep(request: CompileRequest, results: Readonly<Record<string, unknown>>): Record<string, TensorData> {
    const returned: Record<string, TensorData> = {};
    for (const output of request.outputs.keys()) {
      const value = results[output] as Tensor; // the session returns each output that it is asked for
      const stored = request.updates.get(output);
      if (stored === undefined) {
        returned[output] = fromRuntime(value, `output '${output}' of program '${request.name}'`);
      } else {
        this.#replace(stored, value.type === 'float16' && value.location === 'cpu' ? asBits(value) : value);
      }
    }
    return returned;
  }

  #replace(name: string, value: Tensor | undefined): void {
    const previous = this.#store.get(name);
    if (value) this.#store.set(name, value);
    else this.#store.delete(name);
    // Memory on a device is freed by hand.
    if (previous && previous.location !== 'cpu') previous.dispose();
  }
}

function checkUpdates({ name, outputs, updates }: CompileRequest): void {
  const stored = new Set<string>();
  for (const [output, target] of updates) {
    if (!outputs.has(output)) {
      throw new OptionError(`'${output}' is to update '${target}', but the graph '${name}' has no such output`);
    }
    if (stored.has(target)) throw new OptionError(`two outputs of the graph '${name}' update '${target}'`);
    stored.add(target);
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

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function list(names: Iterable<string>): string {
  const all = [...names];
  const shown = all.slice(0, 12).map((name) => `'${name}'`);
  if (all.length > shown.length) shown.push(`${all.length - shown.length} more`);
  return shown.length > 0 ? shown.join(', ') : 'none';
}
