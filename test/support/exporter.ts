// Writes small networks as PyTorch's two exporters write theirs.
import { type TensorData, tensorFrom } from '../../src/graph/tensor.js';
import type { AttributeValue, NodeSpec } from './onnx-models.js';

/** Collects nodes with the names that exporters make up. */
export class Exporter {
  readonly initializers: Record<string, TensorData> = {};
  readonly nodes: NodeSpec[] = [];
  readonly #dynamo: boolean;
  #seed = 1;

  /** @param style TorchScript writes constants as nodes, dynamo as initializers. */
  constructor(style: 'TorchScript' | 'dynamo') {
    this.#dynamo = style === 'dynamo';
  }

  parameter(name: string, dims: readonly number[], around = 0, scale = 0.5): string {
    const count = dims.reduce((product, size) => product * size, 1);
    const fan = dims.length > 1 ? Math.sqrt(count / (dims[0] ?? 1)) : 2;
    const values = Array.from({ length: count }, () => around + (2 * scale * Math.sin(12.9898 * this.#seed++)) / fan);
    this.initializers[name] = tensorFrom('float32', dims, values);
    return name;
  }

  constant(values: number | readonly number[], dtype: 'int64' | 'float32' = 'int64'): string {
    const data =
      typeof values === 'number' ? tensorFrom(dtype, [], [values]) : tensorFrom(dtype, [values.length], values);
    const name = this.#dynamo
      ? `val_${this.nodes.length}_${Object.keys(this.initializers).length}`
      : `/Constant_${this.nodes.length}_output_0`;
    if (this.#dynamo) this.initializers[name] = data;
    else this.nodes.push({ op: 'Constant', inputs: [], outputs: [name], attributes: { value: { tensor: data } } });
    return name;
  }

  op(op: string, inputs: readonly string[], attributes: Record<string, AttributeValue> = {}, output?: string): string {
    const name = `${this.#dynamo ? 'node' : '/'}${op}_${this.nodes.length}`;
    const result = output ?? (this.#dynamo ? `val_${this.nodes.length}` : `${name}_output_0`);
    this.nodes.push({ op, name, inputs, outputs: [result], attributes });
    return result;
  }

  /** The size of an axis as a vector of one element: Shape, Gather, Unsqueeze. */
  size(x: string, axis: number): string {
    const size = this.op('Gather', [this.op('Shape', [x]), this.constant(axis)], { axis: 0 });
    return this.op('Unsqueeze', [size, this.constant([0])]);
  }
}

export const numbers = (...dims: number[]) =>
  tensorFrom(
    'float32',
    dims,
    Array.from({ length: dims.reduce((p, size) => p * size, 1) }, (_, i) => Math.sin(78.233 * i)),
  );
export const integers = (below: number, ...dims: number[]) =>
  tensorFrom(
    'int64',
    dims,
    Array.from({ length: dims.reduce((p, size) => p * size, 1) }, (_, i) => (7 * i + (i % 3)) % below),
  );
