// Training mode of a model: Dropout drops, by random numbers that are inputs of the program, and batch normalization
// normalizes by the batch and moves its running averages.
import { UnsupportedError } from '../errors.js';
import type { GraphBuilder } from '../graph/builder.js';
import { describeNode, float, floatAttribute, inputOf, int, type Node, text, type Value } from '../graph/graph.js';
import type { Rewrite } from '../graph/inline.js';
import { protectedInputs } from '../graph/private-copy.js';
import { seeThrough } from '../graph/uses.js';
import { definitionOf } from '../ops/table.js';
import type { Model } from './model.js';

/** Rewrite nodes in the form that their operators have in training. */
export const trainingForm: Rewrite = (node, inputs, b) =>
  definitionOf(node)?.training?.(b, { ...node, inputs }, node.outputs.length);

/** Declare an input of the program that holds fresh uniform numbers in [0, 1) each step; each name is declared once. */
export type UniformNoise = (name: string, dims: readonly number[]) => Value;

/**
 * The rewriting of a model for one training step: `rewrite` is for `inline`. Evaluations of the same step share their
 * masks, so that they are evaluations of one function.
 */
export class TrainingMode {
  readonly #noise: UniformNoise;
  readonly #statistics: ReadonlyMap<Value, string>;
  readonly #masks = new Map<Node, Value>();
  readonly #updates = new Map<string, Value>();
  /** The layer that updates each running average. */
  readonly #owners = new Map<string, Node>();

  constructor(model: Model, noise: UniformNoise) {
    this.#noise = noise;
    this.#statistics = new Map([...model.statistics].map(([name, value]) => [value, name]));
  }

  /** New running averages by name, from the first evaluation (that of the whole batch); they replace the old ones. */
  get updates(): ReadonlyMap<string, Value> {
    return this.#updates;
  }

  readonly rewrite: Rewrite = (node, inputs, b) => {
    if (node.domain === '' && node.op === 'Dropout') return this.#dropout(node, inputs, b);
    if (node.domain === '' && node.op === 'BatchNormalization') return this.#batchNormalization(node, inputs, b);
    return trainingForm(node, inputs, b);
  };

  /** y = x·mask/(1 − ratio), the mask being 1 with probability 1 − ratio (Srivastava et al. 2014, inverted). */
  #dropout(node: Node, inputs: readonly (Value | undefined)[], b: GraphBuilder): readonly Value[] | undefined {
    const x = inputOf({ ...node, inputs }, 0);
    const ratio = ratioOf(node, inputs[1]);
    if (ratio === 0) return undefined;
    const noise = this.#uniform(node, x.dims, b);
    const isRetained = b.op('GreaterOrEqual', [noise, b.scalar(ratio, 'float32')]);
    const mask = b.op('Cast', [isRetained], { to: text(x.dtype) });
    const scale = b.scalar(1 / (1 - ratio), x.dtype);
    return [b.op('Mul', [x, b.op('Mul', [mask, scale])]), isRetained];
  }

  /** Return the random numbers of a node; an evaluation of the batch's first examples takes the first of them. */
  #uniform(node: Node, dims: readonly number[], b: GraphBuilder): Value {
    const name = `dropout.${node.name || node.outputs[0]?.name}`;
    const known = this.#masks.get(node);
    if (!known) {
      const value = this.#noise(name, dims);
      this.#masks.set(node, value);
      return value;
    }
    const [rows = 1, ...rest] = dims;
    if (known.dims.join() === dims.join()) return known;
    if (known.dims.slice(1).join() === rest.join() && rows < (known.dims[0] ?? 1)) {
      return b.op('Slice', [known, b.integers([0]), b.integers([rows]), b.integers([0])]);
    }
    return this.#noise(`${name}.${dims.join('x')}`, dims);
  }

  /**
   * Normalize by the batch. The averages move as PyTorch's do: running = m·running + (1 − m)·batch with ONNX's momentum m,
   * and the unbiased variance; ONNX's own operator takes the biased one.
   */
  #batchNormalization(node: Node, inputs: readonly (Value | undefined)[], b: GraphBuilder): readonly Value[] {
    const [x, mean, variance] = [0, 3, 4].map((index) => inputOf({ ...node, inputs }, index)) as [Value, Value, Value];
    const attributes = { ...node.attributes, training_mode: int(1), momentum: float(0) };
    const outputs = b.node('BatchNormalization', protectedInputs(b, { ...node, attributes }, inputs), attributes, {
      name: node.name,
      outputs: [node.outputs[0]?.name ?? 'normalized', 'batch_mean', 'batch_variance'],
    });
    const [y, batchMean, batchVariance] = outputs as readonly [Value, Value, Value]; // three are asked for
    const momentum = floatAttribute(node, 'momentum', 0.9);
    const count = x.dims.reduce((product, size, axis) => (axis === 1 ? product : product * size), 1);
    const unbiased = b.op('Mul', [batchVariance, b.scalar(count / Math.max(count - 1, 1), variance.dtype)]);
    const moved = (old: Value, batch: Value): Value =>
      b.op('Add', [
        b.op('Mul', [old, b.scalar(momentum, old.dtype)]),
        b.op('Mul', [batch, b.scalar(1 - momentum, old.dtype)]),
      ]);
    const next = [moved(mean, batchMean), moved(variance, unbiased)] as const;
    this.#record(node, 3, next[0]);
    this.#record(node, 4, next[1]);
    return [y, ...next];
  }

  #record(node: Node, index: number, next: Value): void {
    const name = this.#statistics.get(seeThrough(inputOf(node, index)));
    if (name === undefined) return;
    const owner = this.#owners.get(name);
    if (owner && owner !== node) {
      throw new UnsupportedError(
        `${describeNode(owner)} and ${describeNode(node)} share the running average '${name}' inside a function or the ` +
          'body of a node, and cgfac cannot separate them there: export the model with functions and branches written out',
      );
    }
    if (owner) return; // a later evaluation in the same step
    this.#owners.set(name, node);
    this.#updates.set(name, next);
  }
}

function ratioOf(node: Node, ratio: Value | undefined): number {
  if (!ratio) return 0.5;
  const known = Number(ratio.constant?.data[0] ?? Number.NaN);
  if (!(known >= 0 && known < 1)) {
    throw new UnsupportedError(
      `the ratio of ${describeNode(node)} is ${ratio.constant ? known : 'computed'}; training needs a number in [0, 1)`,
    );
  }
  return known;
}
