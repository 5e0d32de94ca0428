// The gradients of single examples by a layer's weights, the rows of J in F = JᵀJ, without forming them: their Gram matrix
// JJᵀ, J·v and V − Jᵀ·y from the rows of activations and of pre-activation gradients. Their squares and their outer products
// need them formed: see formed-gradients.ts.
import { vectorJacobianProduct } from '../autodiff/gradients.js';
import { OptionError } from '../errors.js';
import { dependencies, type Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { cotangentsOf } from './fisher.js';
import type { FisherSample } from './fisher-sample.js';
import type { KroneckerBlock } from './kronecker-block.js';
import type { InputRows, LayerTensor } from './layer-tensor.js';
import type { LayerUse } from './layers/layer-kind.js';
import { gradientRows, rowCount, rowsOf } from './use-rows.js';

/**
 * Return a function from each of the blocks to the gradients of single examples. There is a row of J for each example and each cotangent of the
 * Fisher matrix, divided by the root of the number of cases, so that JᵀJ is the Fisher matrix of the sample. A layer that
 * applies its weights at several positions adds up the products of its rows over them: nothing is approximated.
 * @throws OptionError for layers without rows of activations or of examples, for a Fisher matrix without cotangents, and for one
 *   whose cotangents cannot be added up over the cases of an example
 */
export function exampleJacobians(
  b: Builder,
  sample: FisherSample,
  blocks: readonly KroneckerBlock[],
): (block: KroneckerBlock) => ExampleJacobian {
  const { forward, likelihood, fisher } = sample;
  const { output } = forward;
  const examples = output.dims[0] ?? 1;
  const cases = likelihood.cases(output);
  if (fisher.inputsAlone) {
    throw new OptionError(
      `fisher is ${fisher.name}(), which measures inputs alone, and the Fisher matrix of examples is made of their gradients: use sampled(), or cgfac`,
    );
  }
  if (fisher.isRoot && cases !== examples) {
    throw new OptionError(
      `fisher is ${fisher.name}(), and an example has ${cases / examples} cases: its gradient is that of one draw for all of them; use sampled()`,
    );
  }
  const preActivations = blocks.flatMap(({ uses }) => uses.map((use) => use.preActivations));
  const passes = cotangentsOf(fisher, { b, ...sample }).map((cotangent) => {
    const scaled = b.mul(cotangent, 1 / Math.sqrt(cases));
    const found = vectorJacobianProduct(b, [{ value: output, cotangent: scaled }], preActivations);
    return new Map(preActivations.map((value, i) => [value, found[i] as Value])); // one cotangent a value
  });
  const given = new Set(forward.parameters.values());
  return (block) => {
    const rows = block.uses.map((use) => {
      checkUse(use, given);
      const cotangents = passes.map((pass) => pass.get(use.preActivations) as Value); // of all pre-activations
      return wholeRows(b, use, cotangents, examples);
    });
    return new ExampleJacobian(b, block, joined(b, rows));
  };
}

/**
 * Rows of a layer: the gradient of an example in a pass is Σ_t left_t·right_tᵀ over its positions t. Both are
 * `[groups, passes, examples, positions, columns]`; the side of the activations is the same in all passes, of which it has one.
 */
interface PositionRows {
  readonly left: Value;
  readonly right: Value;
}

/** The rows of J that belong to one block, `passes · examples`, pass after pass. */
export class ExampleJacobian {
  readonly #b: Builder;
  readonly #hasBias: boolean;
  readonly #rows: PositionRows;
  readonly #passes: number;

  constructor(b: Builder, { bias }: KroneckerBlock, rows: PositionRows) {
    this.#b = b;
    this.#hasBias = bias !== undefined;
    this.#rows = rows;
    this.#passes = Math.max(rows.left.dims[1] ?? 1, rows.right.dims[1] ?? 1);
  }

  /** Number of rows of J. */
  get count(): number {
    return this.#passes * (this.#rows.left.dims[2] ?? 1);
  }

  /**
   * Return JJᵀ, `[count, count]`: products of rows, (a·aᵀ) ⊙ (g·gᵀ), a Khatri–Rao product (Ren & Goldfarb 2019, arXiv
   * 1906.02353). If a layer has so many positions that the products of all pairs are more numbers than the gradients
   * themselves, the gradients are formed.
   */
  gram(): Value {
    const { left, right } = this.#rows;
    const [inputs = 1, outputs = 1, positions = 1] = [left.dims[4], right.dims[4], left.dims[3]];
    const rows = this.count;
    return inputs * outputs < rows * positions ** 2 ? this.#formedGram() : this.#productGram();
  }

  /** Return J·v, `[count]`. */
  times(v: LayerTensor): Value {
    const b = this.#b;
    const { left, right } = this.#rows;
    const [groups = 1, passes = 1, examples = 1, positions = 1] = left.dims;
    const moved = v.contractInputs(b, this.#flat(left));
    const along = b.reshape(moved, [groups, passes, examples, positions, right.dims[4] ?? 1]);
    return b.reshape(b.sum(b.mul(along, right), [0, 3, 4]), [this.count]);
  }

  /** Return V − Jᵀ·y for `y: [count]`. */
  minusTransposed(v: LayerTensor, y: Value): LayerTensor {
    const b = this.#b;
    const { left, right } = this.#rows;
    const [groups = 1, passes = 1, examples = 1, positions = 1] = left.dims;
    const weighed = b.mul(right, b.reshape(y, [1, this.#passes, examples, 1, 1]));
    const columns = passes === 1 && this.#passes > 1 ? b.sum(weighed, [1], true) : weighed;
    const rows = passes * examples * positions;
    const size = right.dims[4] ?? 1;
    return v.minusProduct(b, this.#flat(left), b.reshape(columns, groups === 1 ? [rows, size] : [groups, rows, size]));
  }

  /** Rows with the homogeneous coordinate 1 of a bias. */
  #flat(values: Value): InputRows {
    const b = this.#b;
    const [groups = 1, passes = 1, examples = 1, positions = 1, size = 1] = values.dims;
    const lead = groups === 1 ? [] : [groups];
    const rows = passes * examples * positions;
    return {
      values: b.reshape(values, [...lead, rows, size]),
      homogeneous: this.#hasBias ? b.filled([...lead, rows, 1], 1, values.dtype) : undefined,
    };
  }

  #productGram(): Value {
    const b = this.#b;
    const { left, right } = this.#rows;
    const products = b.mul(this.#pairs(left, this.#hasBias), this.#pairs(right, false));
    return b.reshape(b.sum(products, [0, 3, 6]), [this.count, this.count]);
  }

  /** Inner products of all pairs of rows: `[groups, passes, examples, positions, passes, examples, positions]`. */
  #pairs(values: Value, withOne: boolean): Value {
    const b = this.#b;
    const [groups = 1, passes = 1, examples = 1, positions = 1, size = 1] = values.dims;
    const flat = b.reshape(values, [groups, passes * examples * positions, size]);
    const products = b.gemm(flat, flat, undefined, { transposeY: true });
    const each = [passes, examples, positions];
    return b.reshape(withOne ? b.add(products, 1) : products, [groups, ...each, ...each]);
  }

  #formedGram(): Value {
    const b = this.#b;
    const { left, right } = this.#rows;
    const gradients = b.matmul(b.transposeMatrices(left), right); // [groups, passes, examples, inputs, outputs]
    const ofWeights = this.#gramOf(gradients);
    return this.#hasBias ? b.add(ofWeights, this.#gramOf(b.sum(right, [3], true))) : ofWeights;
  }

  #gramOf(gradients: Value): Value {
    const b = this.#b;
    const [groups = 1, , , inputs = 1, outputs = 1] = gradients.dims;
    const rows = b.reshape(b.transpose(gradients, [1, 2, 0, 3, 4]), [this.count, groups * inputs * outputs]);
    return b.gemm(rows, rows, undefined, { transposeY: true });
  }
}

/** The rows of several uses of tied weights are further positions of each example. */
function joined(b: Builder, [first, ...others]: readonly PositionRows[]): PositionRows {
  if (!first) throw new Error('a block has a use');
  if (others.length === 0) return first;
  const all = [first, ...others];
  const side = (of: (rows: PositionRows) => Value): Value => {
    const passes = Math.max(...all.map((rows) => of(rows).dims[1] ?? 1));
    const values = all.map((rows) => {
      const value = of(rows);
      const [groups = 1, own, ...rest] = value.dims;
      return own === passes ? value : b.op('Expand', [value, b.integers([groups, passes, ...rest])]);
    });
    return b.concat(values, 3);
  };
  return { left: side(({ left }) => left), right: side(({ right }) => right) };
}

/** @throws OptionError if a layer has no rows, or rows that do not belong to examples */
function checkUse({ layer, activations }: LayerUse, parameters: ReadonlySet<Value>): void {
  if (layer.factor === 'identity') {
    throw new OptionError(
      `the layer kind '${layer.kind}' has no rows of activations, which the gradients of single examples are made of: leave it out of layerKinds`,
    );
  }
  if (dependsOnData(activations, parameters)) return;
  throw new OptionError(
    `a layer of the kind '${layer.kind}' is applied to values that do not depend on the examples: no example has a gradient of its own; use cgfac, or freeze its weight`,
  );
}

/** Whether a value is computed from inputs of the program other than the parameters. */
function dependsOnData(value: Value, parameters: ReadonlySet<Value>): boolean {
  const seen = new Set<Value>();
  const stack = [value];
  for (let next = stack.pop(); next; next = stack.pop()) {
    if (seen.has(next) || parameters.has(next) || next.constant) continue;
    seen.add(next);
    if (!next.producer) return true;
    stack.push(...dependencies(next.producer));
  }
  return false;
}

/**
 * The rows of all examples. Kinds of layers may take some of the examples for a factor: they are asked for a few examples at
 * a time.
 */
function wholeRows(b: Builder, use: LayerUse, cotangents: readonly Value[], examples: number): PositionRows {
  const taken = sidesOf(b, use, cotangents);
  const [least, most] = [Math.min(...taken.counts), Math.max(...taken.counts)];
  const positions = most / examples;
  if (!Number.isInteger(positions)) {
    throw new OptionError(
      `the layer kind '${use.layer.kind}' has ${most} rows for ${examples} examples: each example has equally many`,
    );
  }
  if (least === most) return inPositions(b, use, taken, examples, positions);
  const size = Math.max(1, Math.floor(least / positions));
  const parts = Array.from({ length: Math.ceil(examples / size) }, (_, i) => {
    const [from, to] = [i * size, Math.min(examples, (i + 1) * size)];
    const part = (value: Value): Value => b.slice(value, 0, from, to);
    const some = { ...use, activations: part(use.activations), preActivations: part(use.preActivations) };
    const rows = sidesOf(b, some, cotangents.map(part));
    if (rows.counts.every((count) => count === (to - from) * positions)) {
      return inPositions(b, use, rows, to - from, positions);
    }
    throw new OptionError(
      `the layer kind '${use.layer.kind}' has ${rows.counts.join(' and ')} rows for ${to - from} examples of ${positions}: those of its inputs and of its outputs belong together`,
    );
  });
  const side = (of: (rows: PositionRows) => Value): Value => b.concat(parts.map(of), 2);
  return { left: side(({ left }) => left), right: side(({ right }) => right) };
}

interface UseRows {
  readonly inputs: Value;
  /** One for each pass. */
  readonly gradients: readonly Value[];
  /** Numbers of rows of inputs and of gradients. */
  readonly counts: readonly number[];
}

function sidesOf(b: Builder, use: LayerUse, cotangents: readonly Value[]): UseRows {
  const inputs = rowsOf(b, use);
  const gradients = cotangents.map((cotangent) => gradientRows(b, use, cotangent));
  return { inputs, gradients, counts: [inputs, ...gradients].map(rowCount) };
}

function inPositions(
  b: Builder,
  { groups, transposed }: LayerUse,
  { inputs, gradients }: UseRows,
  examples: number,
  positions: number,
): PositionRows {
  const arranged = (rows: Value): Value => b.reshape(rows, [groups, 1, examples, positions, rows.dims.at(-1) ?? 1]);
  const ofInputs = arranged(inputs);
  const ofOutputs = b.concat(gradients.map(arranged), 1);
  return transposed ? { left: ofOutputs, right: ofInputs } : { left: ofInputs, right: ofOutputs };
}
