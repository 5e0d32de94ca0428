// What executes graphs. Programs of one engine share a store of named tensors: parameters and optimizer state.
import type { Graph } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';

export interface ProgramOptions {
  /**
   * Outputs that replace a tensor of the store after each run: output name → name in the store. All of a run's
   * replacements happen together, after it; they are not returned by `run`.
   */
  readonly updates?: ReadonlyMap<string, string>;
}

/** A compiled graph. */
export interface Program {
  /**
   * Runs once. Inputs that are not fed are read from the store by name. Returns the outputs that do not go to the store.
   * @throws OptionError naming an input that is neither fed nor stored
   */
  run(feeds: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>>;
  /** Frees what the program holds; the store stays. */
  release(): Promise<void>;
}

/** An implementation of the runtime: the same graph gives the same numbers on each, within float32 tolerance. */
export interface Engine {
  /** `node-cpu`, `wasm`, `webgpu`, … */
  readonly name: string;
  /** @throws GraphError with the runtime's message where it refuses the graph */
  compile(graph: Graph, options?: ProgramOptions): Promise<Program>;
  /** Puts tensors into the store, replacing those of the same names. */
  write(tensors: Readonly<Record<string, TensorData>>): Promise<void>;
  /** Copies tensors out of the store. */
  read(names: readonly string[]): Promise<Record<string, TensorData>>;
  /** Forgets tensors of the store. */
  forget(names: readonly string[]): Promise<void>;
  /** Frees everything and stops the worker, if there is one. */
  close(): Promise<void>;
}
