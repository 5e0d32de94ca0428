// An engine over a host: encodes graphs, copies what callers give, and answers for what happens after it is closed.
import type { Graph } from '../graph/graph.js';
import { encodeModel } from '../graph/onnx-writer.js';
import type { TensorData } from '../graph/tensor.js';
import type { Engine, Program, ProgramOptions } from './engine.js';
import { copyTensors, EngineError, type Host, type Tensors } from './host.js';

export class HostEngine implements Engine {
  readonly name: string;
  readonly #host: Host;
  #closing: Promise<void> | undefined;

  constructor(name: string, host: Host) {
    this.name = name;
    this.#host = host;
  }

  async compile(graph: Graph, options: ProgramOptions = {}): Promise<Program> {
    this.#checkOpen();
    const program = await this.#host.compile({
      name: graph.name,
      bytes: encodeModel(graph),
      nodes: graph.nodes.length,
      inputs: new Map(graph.inputs.map((input) => [input.name, input.type])),
      outputs: new Map(graph.outputs.map(({ name, value }) => [name, value.knownType])),
      updates: options.updates ?? new Map(),
    });
    return {
      run: async (feeds) => {
        this.#checkOpen();
        return this.#host.run(program, copyTensors(feeds));
      },
      // After closing, nothing is left to be released: clean-up code need not ask.
      release: async () => (this.#closing ? undefined : this.#host.release(program)),
    };
  }

  async write(tensors: Tensors): Promise<void> {
    this.#checkOpen();
    return this.#host.write(copyTensors(tensors));
  }

  async read(names: readonly string[]): Promise<Record<string, TensorData>> {
    this.#checkOpen();
    return this.#host.read(names);
  }

  async forget(names: readonly string[]): Promise<void> {
    return this.#closing ? undefined : this.#host.forget(names);
  }

  close(): Promise<void> {
    this.#closing ??= this.#host.close();
    return this.#closing;
  }

  #checkOpen(): void {
    if (this.#closing) throw new EngineError(`the ${this.name} engine is closed`);
  }
}
