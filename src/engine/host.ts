// What holds sessions and the store, in this thread or in a worker: compiled programs by number, tensors by name.
import { CgfacError } from '../errors.js';
import type { TensorType } from '../graph/graph.js';
import { allocate, type TensorData } from '../graph/tensor.js';

/** The runtime itself failed, or was used after it was closed. */
export class EngineError extends CgfacError {}

export type Tensors = Readonly<Record<string, TensorData>>;

/** A graph as bytes, with what the host checks before and after each run. */
export interface CompileRequest {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Nodes of the graph. */
  readonly nodes: number;
  readonly inputs: ReadonlyMap<string, TensorType>;
  /** In the graph's order; the type is undefined where an imported operator computes the output. */
  readonly outputs: ReadonlyMap<string, TensorType | undefined>;
  /** Outputs that go to the store: output name → name in the store. */
  readonly updates: ReadonlyMap<string, string>;
}

/** Calls take effect in the order in which they are made. Tensors given belong to the host from then on. */
export interface Host {
  compile(request: CompileRequest): Promise<number>;
  run(program: number, feeds: Tensors): Promise<Record<string, TensorData>>;
  release(program: number): Promise<void>;
  write(tensors: Tensors): Promise<void>;
  read(names: readonly string[]): Promise<Record<string, TensorData>>;
  forget(names: readonly string[]): Promise<void>;
  /** Rejects calls that have not begun, waits for the one that has, frees everything. */
  close(): Promise<void>;
}

/** A copy with memory of its own: safe to keep, and to transfer to another thread. */
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
