// Training mode of a model: Dropout drops, by random numbers that are inputs of the program, and batch normalization
// normalizes by the batch and moves its running averages.
import { UnsupportedError } from '../errors.js';
import type { GraphBuilder } from '../graph/builder.js';
import { describeNode, float, floatAttribute, inputOf, int, type Node, text, type Value } from '../graph/graph.js';
import type { Rewrite } from '../graph/inline.js';
import { protectedInputs } from '../graph/private-copy.js';
import { seeThrough } from '../graph/uses.js';
import type { Builder } from '../ops/builder.js';
import { definitionOf } from '../ops/table.js';
import type { Model } from './model.js';

/** Rewrite nodes in the form that their operators have in training. */
export const trainingForm: Rewrite = (node, inputs, b) =>
  definitionOf(node)?.training?.(b, { ...node, inputs }, node.outputs.length);

/** Declare an input of the program that holds fresh uniform numbers in [0, 1) each step; each name is declared once. */
export type UniformNoise = (name: string, dims: readonly number[]) => Value;

/** Mean and biased variance that a layer of batch normalization found in one micro-batch. */
export interface Moments {
  readonly node: Node;
  readonly mean: Value;
  readonly variance: Value;
  /** Elements of each channel that they are of. */
  readonly count: number;
}

/** The rewriting of a model for one micro-batch, in the body of a node. */
export interface MicroBatchMode {
  readonly rewrite: Rewrite;
  /** What the layers of batch normalization found, in the order of the nodes, once the model is rewritten. */
  readonly moments: readonly Moments[];
}

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

  /**
   * Declare the masks of the whole batch, and do nothing else that lasts: before evaluations of micro-batches, which take
   * their parts of these masks.
   */
  readonly declareMasks: Rewrite = (node, inputs, b) =>
    node.domain === '' && node.op === 'Dropout' ? this.#dropout(node, inputs, b) : trainingForm(node, inputs, b);

  /**
   * Return the rewriting for one micro-batch. Its layers of batch normalization normalize by the micro-batch.
   * @param part returns the part of a mask of the whole batch that belongs to the micro-batch, of the given dims
   */
  microBatch(part: (mask: Value, dims: readonly number[]) => Value): MicroBatchMode {
    const moments: Moments[] = [];
    const rewrite: Rewrite = (node, inputs, b) => {
      if (node.domain === '' && node.op === 'Dropout') {
        return this.#dropout(node, inputs, b, (dims) => {
          const mask = this.#masks.get(node);
          if (!mask) throw new Error(`the mask of ${describeNode(node)} is not declared`);
          return part(mask, dims);
        });
      }
      if (node.domain !== '' || node.op !== 'BatchNormalization') return trainingForm(node, inputs, b);
      const found = normalizedByBatch(node, inputs, b);
      moments.push({ node, ...found.moments });
      return [found.normalized, ...movedAverages(b, node, found.running, found.moments)];
    };
    return { rewrite, moments };
  }

  /**
   * Move the running averages by the mean and the variance of the whole batch, which follow from those of its micro-batches
   * of equal size: the mean of the means, and the mean of the variances plus the variance of the means.
   * @param moments with the means and the variances of all micro-batches, `[micro-batches, channels]`
   * @param running averages before the step by name; those that are left out do not move
   */
  moveAverages(b: Builder, moments: readonly Moments[], running: ReadonlyMap<string, Value>): void {
    for (const { node, mean: means, variance: variances, count } of moments) {
      const own = [3, 4].map((index) => running.get(this.#nameOf(node, index) ?? ''));
      const [oldMean, oldVariance] = own;
      if (!oldMean || !oldVariance) continue;
      const mean = b.mean(means, [0]);
      const between = b.mean(b.square(b.sub(means, mean)), [0]);
      const variance = b.add(b.mean(variances, [0]), between);
      const all = { mean, variance, count: count * (means.dims[0] ?? 1) };
      const [nextMean, nextVariance] = movedAverages(b, node, { mean: oldMean, variance: oldVariance }, all);
      this.#record(node, 3, nextMean);
      this.#record(node, 4, nextVariance);
    }
  }

  /** y = x·mask/(1 − ratio), the mask being 1 with probability 1 − ratio (Srivastava et al. 2014, inverted). */
  #dropout(
    node: Node,
    inputs: readonly (Value | undefined)[],
    b: GraphBuilder,
    maskOf: (dims: readonly number[]) => Value = (dims) => this.#uniform(node, dims, b),
  ): readonly Value[] | undefined {
    const x = inputOf({ ...node, inputs }, 0);
    const ratio = ratioOf(node, inputs[1]);
    if (ratio === 0) return undefined;
    const noise = maskOf(x.dims);
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

  #batchNormalization(node: Node, inputs: readonly (Value | undefined)[], b: GraphBuilder): readonly Value[] {
    const { normalized, running, moments } = normalizedByBatch(node, inputs, b);
    const next = movedAverages(b, node, running, moments);
    this.#record(node, 3, next[0]);
    this.#record(node, 4, next[1]);
    return [normalized, ...next];
  }

  /** The name of a running average that a node reads. */
  #nameOf(node: Node, index: number): string | undefined {
    return this.#statistics.get(seeThrough(inputOf(node, index)));
  }

  #record(node: Node, index: number, next: Value): void {
    const name = this.#nameOf(node, index);
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

/** Running averages of batch normalization. */
interface Averages {
  readonly mean: Value;
  readonly variance: Value;
}

/** Emit a layer of batch normalization that normalizes by the batch. */
function normalizedByBatch(node: Node, inputs: readonly (Value | undefined)[], b: GraphBuilder) {
  const [x, mean, variance] = [0, 3, 4].map((index) => inputOf({ ...node, inputs }, index)) as [Value, Value, Value];
  const attributes = { ...node.attributes, training_mode: int(1), momentum: float(0) };
  const outputs = b.node('BatchNormalization', protectedInputs(b, { ...node, attributes }, inputs), attributes, {
    name: node.name,
    outputs: [node.outputs[0]?.name ?? 'normalized', 'batch_mean', 'batch_variance'],
  });
  const [normalized, batchMean, batchVariance] = outputs as readonly [Value, Value, Value]; // three are asked for
  const count = x.dims.reduce((product, size, axis) => (axis === 1 ? product : product * size), 1);
  const running: Averages = { mean, variance };
  return { normalized, running, moments: { mean: batchMean, variance: batchVariance, count } };
}

/**
 * The averages move as PyTorch's do: running = m·running + (1 − m)·batch with ONNX's momentum m, and the unbiased variance;
 * ONNX's own operator takes the biased one.
 */
function movedAverages(
  b: GraphBuilder,
  node: Node,
  running: Averages,
  { mean, variance, count }: Omit<Moments, 'node'>,
): readonly [Value, Value] {
  const momentum = floatAttribute(node, 'momentum', 0.9);
  const unbiased = b.op('Mul', [variance, b.scalar(count / Math.max(count - 1, 1), running.variance.dtype)]);
  const moved = (old: Value, batch: Value): Value =>
    b.op('Add', [
      b.op('Mul', [old, b.scalar(momentum, old.dtype)]),
      b.op('Mul', [batch, b.scalar(1 - momentum, old.dtype)]),
    ]);
  return [moved(running.mean, mean), moved(running.variance, unbiased)];
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
