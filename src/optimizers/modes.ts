// Parameters as tensors whose axes (modes) are preconditioned one by one, cut into equal blocks: for Shampoo and its kin.
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';

export interface ModesOptions {
  /** Whether a kernel is a matrix, first axis × all others, instead of a tensor of four modes. */
  readonly mergeKernels: boolean;
  /** Longest mode of a block: longer ones are cut into equal parts. */
  readonly blockSize: number;
}

/** One parameter seen as a block `[s₁, …, s_r]`, or as a batch of such blocks. */
export class Modes {
  /** s₁ … s_r */
  readonly sizes: readonly number[];
  readonly blocks: number;
  readonly #dims: readonly number[];
  readonly #tensor: readonly number[];
  readonly #parts: readonly number[];

  constructor(dims: readonly number[], { mergeKernels, blockSize }: ModesOptions) {
    const [first = 1, ...others] = dims;
    this.#dims = dims;
    this.#tensor = mergeKernels && others.length > 1 ? [first, elementCount(others)] : [first, ...others];
    this.#parts = this.#tensor.map((size) => Math.ceil(size / blockSize));
    this.sizes = this.#tensor.map((size, i) => Math.ceil(size / (this.#parts[i] ?? 1)));
    this.blocks = elementCount(this.#parts);
  }

  /** Shape of the blocks: `[s₁, …, s_r]`, or `[blocks, s₁, …, s_r]` if there are several. */
  get shape(): readonly number[] {
    return this.#batched(this.sizes);
  }

  /** Shape of one square matrix a block for a mode. */
  squareOf(mode: number): readonly number[] {
    const size = this.sizes[mode] ?? 1;
    return this.#batched([size, size]);
  }

  /** Return a value of the parameter's shape as blocks. Zeros fill up what equal parts have too much. */
  split(b: Builder, x: Value): Value {
    const tensor = b.reshape(x, this.#tensor);
    if (this.blocks === 1) return tensor;
    const padded = b.pad(
      tensor,
      this.#tensor.map(() => 0),
      this.#surplus,
    );
    const cut = b.reshape(padded, this.#interleaved);
    const axes = this.sizes.map((_, i) => i);
    return b.reshape(b.transpose(cut, [...axes.map((i) => 2 * i), ...axes.map((i) => 2 * i + 1)]), this.shape);
  }

  /** Return blocks as a value of the parameter's shape. */
  join(b: Builder, blocks: Value): Value {
    if (this.blocks === 1) return b.reshape(blocks, this.#dims);
    const rank = this.sizes.length;
    const apart = b.reshape(blocks, [...this.#parts, ...this.sizes]);
    const together = b.transpose(
      apart,
      this.sizes.flatMap((_, i) => [i, rank + i]),
    );
    const padded = b.reshape(
      together,
      this.sizes.map((size, i) => size * (this.#parts[i] ?? 1)),
    );
    const tensor = b.pad(
      padded,
      this.#tensor.map(() => 0),
      this.#surplus.map((size) => -size),
    );
    return b.reshape(tensor, this.#dims);
  }

  /** Return X₍ᵢ₎·X₍ᵢ₎ᵀ of blocks, X₍ᵢ₎ being the matrix whose rows belong to the entries of a mode. */
  gram(b: Builder, blocks: Value, mode: number): Value {
    if (this.sizes.length === 2) {
      return b.gemm(blocks, blocks, undefined, mode === 0 ? { transposeY: true } : { transposeX: true });
    }
    const rows = this.#matrix(b, blocks, mode);
    return b.gemm(rows, rows, undefined, { transposeY: true });
  }

  /** Return the blocks with matrices `[s, s]` applied along a mode: M·X₍ᵢ₎, or Mᵀ·X₍ᵢ₎. */
  apply(b: Builder, blocks: Value, mode: number, matrices: Value, transposed = false): Value {
    if (this.sizes.length === 2 && mode === 1) {
      return b.gemm(blocks, matrices, undefined, transposed ? {} : { transposeY: true });
    }
    const rows = this.#matrix(b, blocks, mode);
    const product = b.gemm(matrices, rows, undefined, transposed ? { transposeX: true } : {});
    const { inFront, back } = this.#order(mode);
    return b.transpose(b.reshape(product, inFront), back);
  }

  #matrix(b: Builder, blocks: Value, mode: number): Value {
    const { front } = this.#order(mode);
    const size = this.sizes[mode] ?? 1;
    const rest = elementCount(this.sizes) / size;
    return b.reshape(b.transpose(blocks, front), this.blocks === 1 ? [size, rest] : [this.blocks, size, rest]);
  }

  /** The permutation that puts a mode before the others, the shape that results, and the permutation back. */
  #order(mode: number) {
    const offset = this.blocks === 1 ? 0 : 1;
    const axes = this.shape.map((_, i) => i);
    const own = mode + offset;
    const front = [...axes.slice(0, offset), own, ...axes.slice(offset).filter((axis) => axis !== own)];
    return {
      front,
      inFront: front.map((axis) => this.shape[axis] ?? 1),
      back: axes.map((axis) => front.indexOf(axis)),
    };
  }

  get #surplus(): number[] {
    return this.sizes.map((size, i) => size * (this.#parts[i] ?? 1) - (this.#tensor[i] ?? 1));
  }

  get #interleaved(): number[] {
    return this.sizes.flatMap((size, i) => [this.#parts[i] ?? 1, size]);
  }

  #batched(shape: readonly number[]): readonly number[] {
    return this.blocks === 1 ? shape : [this.blocks, ...shape];
  }
}
