// The network on the examples of a batch that the curvature is measured on, and its blocks: one evaluation for each step, or
// one in each branch that measures.
import { type BlockTable, findBlocks } from '../../curvature/blocks.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerKind } from '../../curvature/layers/index.js';
import type { Value } from '../../graph/graph.js';
import { type Forward, Objective } from '../../losses/objective.js';
import { Builder } from '../../ops/builder.js';
import type { StepContext } from '../optimizer.js';

export interface SampleNetworkOptions {
  /** Number of examples. */
  readonly examples: number;
  readonly kinds: readonly LayerKind[];
  /** Whether the network is evaluated anew in each branch that measures: if nothing else reads the evaluation. */
  readonly inBranches: boolean;
}

export class SampleNetwork {
  readonly #context: StepContext;
  readonly #options: SampleNetworkOptions;
  /** The blocks, in the order in which every evaluation has them. */
  readonly table: BlockTable;
  #evaluated: Forward | undefined;

  constructor(context: StepContext, options: SampleNetworkOptions) {
    this.#context = context;
    this.#options = options;
    // Nothing is built on the builder of the step that only a branch needs: the branch would read it from there.
    const forward = options.inBranches ? this.#evaluate(new Builder(context.b)) : this.forward;
    this.table = this.#blocksOf(forward);
  }

  /** The evaluation of each step. */
  get forward(): Forward {
    this.#evaluated ??= this.#evaluate(this.#context.b);
    return this.#evaluated;
  }

  /** Return the evaluation that a builder measures, with the blocks in its graph. */
  within(b: Builder): { readonly forward: Forward; readonly blocks: readonly KroneckerBlock[] } {
    if (!this.#options.inBranches) return { forward: this.forward, blocks: this.table.blocks };
    const forward = this.#evaluate(b);
    return { forward, blocks: this.#blocksOf(forward).blocks };
  }

  #blocksOf(forward: Forward): BlockTable {
    return findBlocks(this.#context.parameters, forward.output, this.#options.kinds);
  }

  #evaluate(b: Builder): Forward {
    return Objective.within(this.#context.objective, b).evaluate(allParameters(this.#context), this.#options.examples);
  }
}

/**
 * All parameters of the step, including those that another optimizer trains, without the running averages of batch
 * normalization: the runtime would merge two nodes' copies of the same averages into one, which both write to.
 */
const allParameters = ({ objective, forward, parameters }: StepContext): Map<string, Value> =>
  new Map([...[...forward.parameters].filter(([name]) => objective.model.parameters.has(name)), ...parameters]);
