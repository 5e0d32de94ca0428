// An engine over a host: encodes graphs, copies the tensors that callers give, numbers the stores of the engines opened
// from it, and refuses calls after it is closed.
import type { Graph } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';
import { encodeModel } from '../onnx/encode/writer.js';
import type { Engine, Program, ProgramOptions } from './engine.js';
import { copyTensors, EngineError, type Host, type Tensors } from './host/host.js';

export class HostEngine implements Engine {
  readonly name: string;
  readonly #host: Host;
  /** The engine that this one was opened from. */
  readonly #parent: HostEngine | undefined;
  readonly #opened = new Set<HostEngine>();
  readonly #store: number;
  /** Stores that were numbered so far, on an engine without a parent. */
  #stores = 1;
  #closing: Promise<void> | undefined;

  constructor(name: string, host: Host, parent?: HostEngine) {
    this.name = name;
    this.#host = host;
    this.#parent = parent;
    this.#store = parent ? parent.#nextStore() : 0;
  }

  async compile(graph: Graph, options: ProgramOptions = {}): Promise<Program> {
    this.#checkOpen();
    const program = await this.#host.compile({
      store: this.#store,
      name: graph.name,
      bytes: encodeModel(graph),
      nodes: graph.nodes.length,
      inputs: new Map(graph.inputs.map((input) => [input.name, input.type])),
      outputs: new Map(graph.outputs.map(({ name, value }) => [name, value.knownType])),
      updates: options.updates ?? new Map(),
      accept: options.accept,
      undoable: options.undoable ?? false,
    });
    return {
      run: async (feeds) => {
        this.#checkOpen();
        return this.#host.run(program, copyTensors(feeds));
      },
      undo: async () => {
        this.#checkOpen();
        return this.#host.undo(program);
      },
      release: () => this.#freed(() => this.#host.release(program)),
    };
  }

  async write(tensors: Tensors): Promise<void> {
    this.#checkOpen();
    return this.#host.write(this.#store, copyTensors(tensors));
  }

  async read(names: readonly string[]): Promise<Record<string, TensorData>> {
    this.#checkOpen();
    return this.#host.read(this.#store, names);
  }

  forget(names: readonly string[]): Promise<void> {
    return this.#freed(() => this.#host.forget(this.#store, names));
  }

  open(): Engine {
    this.#checkOpen();
    const engine = new HostEngine(this.name, this.#host, this);
    this.#opened.add(engine);
    return engine;
  }

  close(): Promise<void> {
    this.#closing ??= this.#parent ? this.#closeStores(this.#parent) : this.#host.close();
    return this.#closing;
  }

  async #closeStores(parent: HostEngine): Promise<void> {
    parent.#opened.delete(this);
    if (parent.#isClosed) return parent.close();
    await parent.#freed(() => this.#host.drop(this.#openStores()));
  }

  /** The store of this engine and those of the engines opened from it. */
  #openStores(): number[] {
    return [this.#store, ...[...this.#opened].flatMap((engine) => engine.#openStores())];
  }

  #nextStore(): number {
    return this.#parent ? this.#parent.#nextStore() : this.#stores++;
  }

  /** Free something, unless closing did so or does so meanwhile: clean-up code need not check. */
  async #freed(free: () => Promise<void>): Promise<void> {
    if (this.#isClosed) return;
    await free().catch((error) => {
      if (!this.#isClosed) throw error;
    });
  }

  get #isClosed(): boolean {
    return this.#closing !== undefined || (this.#parent ? this.#parent.#isClosed : false);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw new EngineError(`the ${this.name} engine is closed`);
  }
}
