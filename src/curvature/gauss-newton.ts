// Products with the exact Gauss–Newton matrix of a sample, F = JᵀHJ/N: all layers together, without a Kronecker approximation.
import { type Seed, vectorJacobianProduct } from '../autodiff/gradients.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import type { FisherSample } from './fisher-sample.js';
import type { KroneckerBlock } from './kronecker-block.js';
import type { LayerTensor } from './layer-tensor.js';

/** A block with a vector in the space of its parameters. */
export interface BlockVector {
  readonly block: KroneckerBlock;
  readonly step: LayerTensor;
}

/**
 * The network linearized at the parameters of a sample. What does not depend on the vectors is made once, by the builder that
 * it is given, so that a loop may apply it with a builder of its own.
 */
export class GaussNewton {
  readonly #sample: Pick<FisherSample, 'forward' | 'likelihood'>;
  /** u ↦ Jᵀu by parameter, for a placeholder u: its own derivative in the direction of a step is J·δ. */
  readonly #placeholder: Value;
  readonly #pulled: ReadonlyMap<string, Value>;

  constructor(b: Builder, sample: Pick<FisherSample, 'forward' | 'likelihood'>, blocks: readonly KroneckerBlock[]) {
    const { output, parameters } = sample.forward;
    const names = blocks.flatMap(({ weight, bias }) => (bias === undefined ? [weight] : [weight, bias]));
    const placeholder = b.placeholderLike(output);
    const values = names.map((name) => {
      const parameter = parameters.get(name);
      if (!parameter) throw new Error(`no parameter '${name}'`);
      return parameter;
    });
    const pulled = vectorJacobianProduct(b, [{ value: output, cotangent: placeholder }], values);
    this.#sample = sample;
    this.#placeholder = placeholder;
    this.#pulled = new Map(names.map((name, i) => [name, pulled[i] as Value])); // one a parameter
  }

  /** Return J·δ: the derivative of the sampled outputs along a step of some of the blocks' parameters. */
  tangent(b: Builder, steps: readonly BlockVector[]): Value {
    const seeds = steps.flatMap(({ block, step }) =>
      block.put(b, step).map(([name, cotangent]): Seed => {
        const value = this.#pulled.get(name);
        if (!value) throw new Error(`no parameter '${name}'`);
        return { value, cotangent };
      }),
    );
    const [tangent] = vectorJacobianProduct(b, seeds, [this.#placeholder]);
    if (!tangent) throw new Error('no derivative of the output');
    return tangent;
  }

  /** Return H·t/N for a derivative t of the outputs. */
  weighed(b: Builder, tangent: Value): Value {
    const { forward, likelihood } = this.#sample;
    return b.mul(likelihood.hessianProduct(b, forward, tangent), 1 / likelihood.cases(forward.output));
  }

  /** Return F·δ for a step of some blocks: the part of each of these. */
  times(b: Builder, steps: readonly BlockVector[]): LayerTensor[] {
    const { output, parameters } = this.#sample.forward;
    const cotangent = this.weighed(b, this.tangent(b, steps));
    const names = [...this.#pulled.keys()];
    const values = names.map((name) => parameters.get(name) as Value); // all were found
    const pulled = vectorJacobianProduct(b, [{ value: output, cotangent }], values);
    const byName = new Map(names.map((name, i) => [name, pulled[i] as Value])); // one a parameter
    return steps.map(({ block }) => block.take(b, byName));
  }
}
