// One Kronecker block: a layer's weight and bias as one matrix.
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { LayerTensor } from './layer-tensor.js';
import type { LayerUse } from './layers/layer-kind.js';

/** A parameter of a block. */
export interface BlockParameter {
  readonly name: string;
  readonly dims: readonly number[];
}

/** A bias: all of a parameter, or a part of its last axis. */
export interface BlockBias extends BlockParameter {
  readonly part?: readonly [number, number];
}

/** The uses of a layer in the network: one, or several if weights are tied. */
export type LayerUses = readonly [LayerUse, ...LayerUse[]];

/**
 * A layer `s = a·W + b`: its Fisher block is approximated by the Kronecker product of A = E[aaᵀ] and G = E[ggᵀ].
 * Optimizers access parameters through `take` and `put` only: the block decides which part of a parameter it is.
 */
export class KroneckerBlock {
  /** The name of the weight, also in the names of the block's states. */
  readonly weight: string;
  /** The name of the bias that is a homogeneous coordinate of the activations. */
  readonly bias: string | undefined;
  /**
   * Number of layers of equal size side by side: the groups of a convolution. Their factors form a batch: the block's
   * tensors, rows and factors then have a leading axis for the groups, and its scalars are `[groups, 1, 1]`.
   */
  readonly groups: number;
  /** Inputs of one group, without the bias: channels · kernel area of a convolution, the vocabulary of an embedding, 1 of a scale. */
  readonly inputs: number;
  /** Outputs of one group. */
  readonly outputs: number;
  /** Whether the weight is stored `[outputs, inputs]`, as in PyTorch, not `[inputs, outputs]`. */
  readonly outputsFirst: boolean;
  readonly uses: LayerUses;
  readonly #weight: BlockParameter;
  readonly #bias: BlockBias | undefined;

  /** @param uses the first one that does not apply the transpose decides the block's layout */
  constructor(weight: BlockParameter, bias: BlockBias | undefined, uses: LayerUses) {
    const { groups, inputs, outputs, outputsFirst } = uses.find(({ transposed }) => !transposed) ?? uses[0];
    this.weight = weight.name;
    this.bias = bias?.name;
    this.groups = groups;
    this.inputs = inputs;
    this.outputs = outputs;
    this.outputsFirst = outputsFirst;
    this.uses = uses;
    this.#weight = weight;
    this.#bias = bias;
  }

  /** Return the same block without its bias. */
  withoutBias(): KroneckerBlock {
    return new KroneckerBlock(this.#weight, undefined, this.uses);
  }

  /** The name of the bias in names of states: blocks that have parts of one parameter have states of their own. */
  get ownBias(): string | undefined {
    const { name, part } = this.#bias ?? {};
    return part ? `${name}.${part.join('-')}` : name;
  }

  /** Number of elements of the bias, without those that belong to other blocks. */
  get biasSize(): number {
    return this.#bias ? this.groups * this.outputs : 0;
  }

  /** The kind of layer; `tied` if a matrix is a layer of one kind in one use and of another kind in another. */
  get kind(): string {
    const [{ layer }, ...others] = this.uses;
    return others.every((use) => use.layer === layer) ? layer.kind : 'tied';
  }

  /** Its name in tables of blocks. */
  get description(): string {
    const [{ layer }] = this.uses;
    return this.kind === layer.kind ? (layer.describe?.(this) ?? layer.kind) : this.kind;
  }

  /** The form of A: any matrix (`full`), a diagonal, or the identity. */
  get factor(): 'full' | 'diagonal' | 'identity' {
    const [{ layer }, ...others] = this.uses;
    return others.every((use) => use.layer === layer && !use.transposed) ? layer.factor : 'full';
  }

  /** Whether the weight decays and has a prior. */
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
    const { part } = this.#bias ?? {};
    const own = bias && part ? b.slice(bias, -1, ...part) : bias;
    return new LayerTensor(b.reshape(weight, weightDims), own && b.reshape(own, biasDims), outputsFirst);
  }

  /**
   * Return the block's tensors by parameter, in the shapes of the parameters: the inverse of `take`. What belongs to other
   * blocks is zero: a parameter that several blocks have parts of gets the sum of theirs.
   */
  put(b: Builder, { weight, bias }: LayerTensor): [string, Value][] {
    const whole: [string, Value] = [this.weight, b.reshape(weight, this.#weight.dims)];
    if (!bias || !this.#bias) return [whole];
    const { name, dims, part } = this.#bias;
    if (!part) return [whole, [name, b.reshape(bias, dims)]];
    const [from, to] = part;
    const [lead, size] = [dims.slice(0, -1), dims.at(-1) ?? 1];
    const none = lead.map(() => 0);
    return [whole, [name, b.pad(b.reshape(bias, [...lead, to - from]), [...none, from], [...none, size - to])]];
  }
}
