// Engines execute graphs. The programs of an engine share a store of named tensors: parameters and optimizer state.
import type { Graph } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';

export interface ProgramOptions {
  /**
   * Outputs that replace a tensor of the store after each run: output name → name in the store. All of a run's
   * replacements happen together, after it; they are not returned by `run`.
   */
  readonly updates?: ReadonlyMap<string, string>;
  /**
   * An output of one element (bool, integer, float32 or float64) that decides about each run's updates: they happen if it
   * is a number other than 0, not if it is 0 or NaN. `run` returns it like other outputs. By default updates always happen.
   */
  readonly accept?: string;
  /**
   * Keep the tensors that the last run's updates replaced, for `undo`. They are not copied, and take the memory of the
   * updated tensors once more until the next updates, `undo` or `release`. False by default.
   */
  readonly undoable?: boolean;
}

/** A compiled graph. */
export interface Program {
  /**
   * Run once. Inputs that are not fed are read from the store by name.
   * @returns the outputs that do not go to the store
   * @throws OptionError naming an input that is neither fed nor stored
   */
  run(feeds: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>>;
  /**
   * Undo the updates of the last run that had any: put the tensors that they replaced back into the store. Runs that
   * failed or that `accept` refused since do not count.
   * @throws OptionError if the program was not compiled as `undoable`; EngineError, with the store unchanged, if no run is
   *   left to be undone (each can be once), or if `write`, `forget` or another program replaced one of the tensors since
   */
  undo(): Promise<void>;
  /** Free the program's memory; the store stays. */
  release(): Promise<void>;
}

/** A runtime: the same graph gives the same numbers on each, within float32 tolerance. */
export interface Engine {
  /** `node-cpu`, `wasm`, `webgpu`, … */
  readonly name: string;
  /** Compile a graph. @throws GraphError with the runtime's message if it refuses the graph */
  compile(graph: Graph, options?: ProgramOptions): Promise<Program>;
  /** Put tensors into the store, replacing those of the same names. */
  write(tensors: Readonly<Record<string, TensorData>>): Promise<void>;
  /** Copy tensors out of the store. @throws OptionError naming a tensor that it does not hold */
  read(names: readonly string[]): Promise<Record<string, TensorData>>;
  /** Remove tensors from the store. */
  forget(names: readonly string[]): Promise<void>;
  /**
   * Return an engine on the same runtime, worker and threads with a separate store, empty at first: several trainings
   * share a runtime, and their names do not collide. Programs of all these engines run one at a time.
   */
  open(): Engine;
  /**
   * Free the store and the programs that were compiled through this engine, and close the engines that were opened from
   * it. An engine that was not opened from another stops the runtime's worker as well, if there is one, and calls that are
   * under way are rejected; those on an opened engine take effect first.
   */
  close(): Promise<void>;
}
