// One Kronecker block: the part of the parameters that a layer's weight and bias are, read as one matrix.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { LayerTensor } from './layer-tensor.js';
import type { LayerUse } from './layers/layer-kind.js';

/** A parameter of a block. */
export interface BlockParameter {
  readonly name: string;
  readonly dims: readonly number[];
}

/** Where the network applies a layer: once, or several times if weights are tied. */
export type LayerUses = readonly [LayerUse, ...LayerUse[]];

/**
 * A layer `s = a·W + b`: its Fisher block is approximated by the Kronecker product of A = E[aaᵀ] and G = E[ggᵀ].
 * Optimizers see parameters through `take` and `put` only, so that it is the block's affair which part of them it is.
 */
export class KroneckerBlock {
  /** The name of the weight: what states of the block are called by. */
  readonly weight: string;
  /** The name of the bias that rides along as a homogeneous coordinate of the activations. */
  readonly bias: string | undefined;
  /**
   * Layers of equal size side by side: the groups of a convolution. Their factors are held and solved with as a batch; the
   * block's tensors, rows and factors then have a leading axis for them, and its scalars are `[groups, 1, 1]`.
   */
  readonly groups: number;
  /**
   * Of one group, without the bias. Of a convolution: channels · kernel area; of an embedding: the vocabulary; of a scale: 1.
   */
  readonly inputs: number;
  readonly outputs: number;
  /** The weight is stored `[outputs, inputs]`, as PyTorch does, not `[inputs, outputs]`. */
  readonly outputsFirst: boolean;
  readonly uses: LayerUses;
  readonly #parameters: readonly BlockParameter[];

  /** @param uses the first one that applies the matrix as the block reads it decides on the block's layout */
  constructor(weight: BlockParameter, bias: BlockParameter | undefined, uses: LayerUses) {
    const { groups, inputs, outputs, outputsFirst } = uses.find(({ exchanged }) => !exchanged) ?? uses[0];
    this.weight = weight.name;
    this.bias = bias?.name;
    this.groups = groups;
    this.inputs = inputs;
    this.outputs = outputs;
    this.outputsFirst = outputsFirst;
    this.uses = uses;
    this.#parameters = bias ? [weight, bias] : [weight];
  }

  /** The kind of layer; `tied` if a matrix is a layer of one kind in one use and of another kind in another. */
  get kind(): string {
    const [{ layer }, ...others] = this.uses;
    return others.every((use) => use.layer === layer) ? layer.kind : 'tied';
  }

  /** What tables of blocks call it. */
  get description(): string {
    const [{ layer }] = this.uses;
    return this.kind === layer.kind ? (layer.describe?.(this) ?? layer.kind) : this.kind;
  }

  /** How much is known of the form of A: nothing (`full`), that it is a diagonal, or all of it. */
  get factor(): 'full' | 'diagonal' | 'identity' {
    const [{ layer }, ...others] = this.uses;
    return others.every((use) => use.layer === layer && !use.exchanged) ? layer.factor : 'full';
  }

  /** The weight decays, and has a prior. */
  get decays(): boolean {
    return this.uses.some(({ layer }) => layer.decays);
  }

  /** Return the block's part of tensors that are keyed by parameter. */
  take(b: Builder, tensors: ReadonlyMap<string, Value>): LayerTensor {
    const weight = tensors.get(this.weight);
    if (!weight) throw new Error(`no tensor for parameter ${this.weight}`);
    const { groups, inputs, outputs, outputsFirst } = this;
    const matrix = outputsFirst ? [outputs, inputs] : [inputs, outputs];
    const [weightDims, biasDims] =
      groups === 1
        ? [matrix, [outputs]]
        : [
            [groups, ...matrix],
            [groups, 1, outputs],
          ];
    const bias = this.bias === undefined ? undefined : tensors.get(this.bias);
    return new LayerTensor(b.reshape(weight, weightDims), bias && b.reshape(bias, biasDims), outputsFirst);
  }

  /** Return the block's tensors by parameter, in the shapes of the parameters: the inverse of `take`. */
  put(b: Builder, { weight, bias }: LayerTensor): [string, Value][] {
    const parts = bias ? [weight, bias] : [weight];
    return this.#parameters.flatMap(({ name, dims }, i) => {
      const part = parts[i];
      return part ? [[name, b.reshape(part, dims)]] : [];
    });
  }
}
