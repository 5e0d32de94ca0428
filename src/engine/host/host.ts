// Hosts hold sessions and stores, in this thread or in a worker: programs and stores have numbers, tensors names.
import { CgfacError } from '../../errors.js';
import type { TensorType } from '../../graph/graph.js';
import { allocate, type TensorData } from '../../graph/tensor.js';

/** The runtime itself failed, or was used in a state that does not allow it: closed, released, nothing to undo. */
export class EngineError extends CgfacError {}

export type Tensors = Readonly<Record<string, TensorData>>;

/** A graph as bytes, with the types and updates that the host checks before and after each run. */
export interface CompileRequest {
  /** The number of the store that it reads and updates. */
  readonly store: number;
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Nodes of the graph. */
  readonly nodes: number;
  readonly inputs: ReadonlyMap<string, TensorType>;
  /** In the graph's order; the type is undefined if an imported operator computes the output. */
  readonly outputs: ReadonlyMap<string, TensorType | undefined>;
  /** Outputs that go to the store: output name → name in the store. */
  readonly updates: ReadonlyMap<string, string>;
  /** The output that decides whether a run's updates happen. */
  readonly accept: string | undefined;
  /** Whether the tensors that the last updates replaced are kept. */
  readonly undoable: boolean;
}

/**
 * Calls take effect in the order in which they are made. Tensors given belong to the host from then on. Stores are
 * numbered by the caller; one begins with the first call that names it.
 */
export interface Host {
  compile(request: CompileRequest): Promise<number>;
  run(program: number, feeds: Tensors): Promise<Record<string, TensorData>>;
  undo(program: number): Promise<void>;
  release(program: number): Promise<void>;
  write(store: number, tensors: Tensors): Promise<void>;
  read(store: number, names: readonly string[]): Promise<Record<string, TensorData>>;
  forget(store: number, names: readonly string[]): Promise<void>;
  /** Free stores and the programs compiled for them. */
  drop(stores: readonly number[]): Promise<void>;
  /** Reject calls that have not begun, wait for the one that has, free everything. */
  close(): Promise<void>;
}

/** Return a copy that shares no memory: safe to keep, and to transfer to another thread. */
export function copyTensor({ dtype, dims, data }: TensorData): TensorData {
  const copy = allocate(dtype, data.length);
  if (copy instanceof BigInt64Array || copy instanceof BigUint64Array) {
    copy.set(data as BigInt64Array); // a tensor's elements are of its element type
  } else {
    copy.set(data as Float32Array);
  }
  return { dtype, dims: [...dims], data: copy };
}

export const copyTensors = (tensors: Tensors): Tensors =>
  Object.fromEntries(Object.entries(tensors).map(([name, value]) => [name, copyTensor(value)]));
