// The graph builder with a method for each operator that cgfac itself composes: formulas read like formulas.

import { checkOperand, GraphBuilder, type NodeOptions, type Semantics } from '../graph/builder.js';
import {
  type Attributes,
  body,
  type Dimension,
  elements,
  float,
  type Graph,
  int,
  ints,
  text,
  Value,
} from '../graph/graph.js';
import { type DataType, elementCount, tensorFrom } from '../graph/tensor.js';
import { type Carried, type CarriedLike, flatten, likewise } from './carried.js';
import { scanAttributes } from './scan.js';
import { isAnonymous } from './shapes/folding.js';
import { range, sameShape } from './shapes/shapes.js';
import { type OpName, semantics } from './table.js';

type Operand = Value | number;

/** The element type of the numbers among two operands. */
const commonType = (x: Operand, y: Operand): DataType =>
  [x, y].find((operand) => operand instanceof Value)?.dtype ?? 'float32';

const isNumber = (value: Value, number: number): boolean =>
  isAnonymous(value) && value.rank === 0 && Number(value.constant?.data[0]) === number;

/**
 * Builds graphs of ONNX operators: losses, metrics, layers and optimizers of your own are formulas with it. `op` adds an
 * operator that has no method.
 * @example
 * const b = new Builder();
 * const x = b.input('x', 'float32', ['batch', 3]);
 * const norm = b.sqrt(b.sum(b.square(x), [1], true));
 * const graph = b.build('unit', { y: b.div(x, norm), ceiling: b.op('Ceil', [x]) });
 */
export class Builder extends GraphBuilder {
  constructor(parent?: GraphBuilder, table: Semantics = semantics) {
    super(table, parent);
  }

  /** Return the output of a node that has one: an operator of the table, or of another domain as `my.domain.Name`. */
  override op(
    op: OpName | `${string}.${string}`,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    options: NodeOptions = {},
  ): Value {
    return super.op(op, inputs, attributes, options);
  }

  add(x: Operand, y: Operand): Value {
    return this.#binary('Add', x, y, 0, 0);
  }
  sub(x: Operand, y: Operand): Value {
    return this.#binary('Sub', x, y, undefined, 0);
  }
  mul(x: Operand, y: Operand): Value {
    return this.#binary('Mul', x, y, 1, 1);
  }
  div(x: Operand, y: Operand): Value {
    return this.#binary('Div', x, y, undefined, 1);
  }
  pow(x: Value, exponent: Operand): Value {
    return this.#binary('Pow', x, exponent, undefined, 1);
  }
  max(x: Operand, y: Operand): Value {
    return this.#binary('Max', x, y);
  }
  min(x: Operand, y: Operand): Value {
    return this.#binary('Min', x, y);
  }
  less(x: Operand, y: Operand): Value {
    return this.#binary('Less', x, y);
  }
  greater(x: Operand, y: Operand): Value {
    return this.#binary('Greater', x, y);
  }
  greaterOrEqual(x: Operand, y: Operand): Value {
    return this.#binary('GreaterOrEqual', x, y);
  }
  equal(x: Operand, y: Operand): Value {
    return this.#binary('Equal', x, y);
  }
  and(x: Value, y: Value): Value {
    return this.op('And', [x, y]);
  }
  where(condition: Value, x: Operand, y: Operand): Value {
    const dtype = commonType(x, y);
    return this.op('Where', [condition, this.#operand('Where', x, dtype), this.#operand('Where', y, dtype)]);
  }
  neg(x: Value): Value {
    return this.op('Neg', [x]);
  }
  abs(x: Value): Value {
    return this.op('Abs', [x]);
  }
  sign(x: Value): Value {
    return this.op('Sign', [x]);
  }
  exp(x: Value): Value {
    return this.op('Exp', [x]);
  }
  log(x: Value): Value {
    return this.op('Log', [x]);
  }
  sqrt(x: Value): Value {
    return this.op('Sqrt', [x]);
  }
  reciprocal(x: Value): Value {
    return this.op('Reciprocal', [x]);
  }
  square(x: Value): Value {
    return this.mul(x, x);
  }
  tanh(x: Value): Value {
    return this.op('Tanh', [x]);
  }
  relu(x: Value): Value {
    return this.op('Relu', [x]);
  }
  sigmoid(x: Value): Value {
    return this.op('Sigmoid', [x]);
  }
  softmax(x: Value, axis = -1): Value {
    return this.op('Softmax', [x], { axis: int(axis) });
  }
  logSoftmax(x: Value, axis = -1): Value {
    return this.op('LogSoftmax', [x], { axis: int(axis) });
  }
  cast(x: Value, dtype: DataType): Value {
    checkOperand('cast', x);
    return x.dtype === dtype ? x : this.op('Cast', [x], { to: text(dtype) });
  }

  matmul(x: Value, y: Value): Value {
    return this.op('MatMul', [x, y]);
  }
  /**
   * Return alpha·op(x)·op(y) + beta·c of matrices `[rows, inner]` and `[inner, columns]`, op being a transposition if the
   * options say so. Batches of matrices are copied to be transposed, while a Gemm transposes as it packs.
   */
  gemm(
    x: Value,
    y: Value,
    c?: Value,
    options: { transposeX?: boolean; transposeY?: boolean; alpha?: number; beta?: number } = {},
  ): Value {
    checkOperand('Gemm', x);
    checkOperand('Gemm', y);
    if (x.rank > 2 || y.rank > 2) {
      const [left, right] = [
        options.transposeX ? this.transposeMatrices(x) : x,
        options.transposeY ? this.transposeMatrices(y) : y,
      ];
      const [product, alpha = 1] = [this.matmul(left, right), options.alpha];
      if (!c) return this.mul(product, alpha);
      const sum = this.mul(c, options.beta ?? 1);
      return alpha === -1 ? this.sub(sum, product) : this.add(sum, this.mul(product, alpha));
    }
    const attributes: Record<string, Attributes[string]> = {};
    if (options.alpha !== undefined && options.alpha !== 1) attributes.alpha = float(options.alpha);
    if (options.beta !== undefined && options.beta !== 1) attributes.beta = float(options.beta);
    if (options.transposeX) attributes.transA = int(1);
    if (options.transposeY) attributes.transB = int(1);
    return this.op('Gemm', c ? [x, y, c] : [x, y], attributes);
  }

  /** Return the sum over axes (all by default). */
  sum(x: Value, axes?: readonly number[], keepDimensions = false): Value {
    return this.#reduce('ReduceSum', x, axes, keepDimensions);
  }
  mean(x: Value, axes?: readonly number[], keepDimensions = false): Value {
    return this.#reduce('ReduceMean', x, axes, keepDimensions);
  }
  reduceMax(x: Value, axes?: readonly number[], keepDimensions = false): Value {
    return this.#reduce('ReduceMax', x, axes, keepDimensions);
  }
  /** Return the inner product of two tensors of equal shape, a scalar. */
  dot(x: Value, y: Value): Value {
    if (x === y) return this.op('ReduceSumSquare', [x], { keepdims: int(0) });
    return this.sum(this.mul(x, y)); // four times as fast as the product of a row and a column (benchmarks/solvers.ts)
  }

  reshape(x: Value, shape: readonly number[]): Value {
    checkOperand('reshape', x);
    if (sameShape(x.shape, shape)) return x;
    return this.op('Reshape', [x, this.integers(shape)]);
  }
  /** Return x in the shape of another value with as many elements. */
  reshapeLike(x: Value, like: Value): Value {
    checkOperand('reshapeLike', x);
    checkOperand('reshapeLike', like);
    if (sameShape(x.shape, like.shape)) return x;
    // A size may be 0: by default a Reshape would copy the size of its input instead.
    const meansZero = like.shape.some((size) => size === 0 || typeof size === 'string');
    return this.op('Reshape', [x, this.shapeOf(like)], meansZero ? { allowzero: int(1) } : {});
  }
  transpose(x: Value, permutation?: readonly number[]): Value {
    checkOperand('transpose', x);
    const order = permutation ?? range(0, x.rank).reverse();
    return order.every((axis, i) => axis === i) ? x : this.op('Transpose', [x], { perm: ints(order) });
  }
  /** Return x with its last two axes transposed. */
  transposeMatrices(x: Value): Value {
    checkOperand('transposeMatrices', x);
    return this.transpose(x, [...range(0, x.rank - 2), x.rank - 1, x.rank - 2]);
  }
  concat(values: readonly Value[], axis: number): Value {
    return values.length === 1 && values[0] ? values[0] : this.op('Concat', values, { axis: int(axis) });
  }
  /** Return the elements from `start` to before `end` along one axis. */
  slice(x: Value, axis: number, start: number, end: number): Value {
    checkOperand('slice', x);
    const positive = axis < 0 ? axis + x.rank : axis;
    if (start === 0 && x.shape[positive] === end) return x;
    return this.op('Slice', [x, this.integers([start]), this.integers([end]), this.integers([positive])]);
  }
  /** Return the elements in reverse order along one axis. */
  reverse(x: Value, axis: number): Value {
    checkOperand('reverse', x);
    if (x.shape[axis] === 1) return x;
    // From the last element down to the one before the first, which is beyond every negative index.
    const [start, end] = [this.integers([-1]), this.integers([1 - 2 ** 31])];
    return this.op('Slice', [x, start, end, this.integers([axis]), this.integers([-1])]);
  }
  /** Add zeros before and after each axis; negative numbers cut elements off. */
  pad(x: Value, before: readonly number[], after: readonly number[]): Value {
    const sizes = [...before, ...after];
    return sizes.every((size) => size === 0) ? x : this.op('Pad', [x, this.integers(sizes)]);
  }
  squeeze(x: Value, axes: readonly number[]): Value {
    return axes.length === 0 ? x : this.op('Squeeze', [x, this.integers(axes)]);
  }
  unsqueeze(x: Value, axes: readonly number[]): Value {
    if (axes.length === 0) return x;
    const given = this.integers(axes);
    const { producer } = x;
    // What was squeezed along these axes is there already.
    if (producer?.op === 'Squeeze' && producer.inputs[0] && producer.inputs[1] === given) return producer.inputs[0];
    return this.op('Unsqueeze', [x, given]);
  }
  gather(x: Value, indices: Value, axis = 0): Value {
    return this.op('Gather', [x, indices], { axis: int(axis) });
  }
  expandLike(x: Value, like: Value): Value {
    checkOperand('expandLike', x);
    checkOperand('expandLike', like);
    return sameShape(x.shape, like.shape) ? x : this.op('Expand', [x, this.shapeOf(like)]);
  }

  /** Return the shape as an int64 vector: a constant if all sizes are known. */
  shapeOf(x: Value): Value {
    checkOperand('shapeOf', x);
    const { shape } = x;
    return shape.every((size) => typeof size === 'number') ? this.integers(shape) : this.op('Shape', [x]);
  }
  /** Return one size: a number, or an int64 vector of one element if it is only known when the program runs. */
  dimension(x: Value, axis: number): number | Value {
    checkOperand('dimension', x);
    const size = x.shape[axis];
    if (typeof size === 'number') return size;
    return this.op('Shape', [x], { start: int(axis), end: int(axis + 1) });
  }
  /** Return an int64 vector of numbers and vectors. */
  vector(parts: readonly (number | Value)[]): Value {
    const numbers = parts.filter((part) => typeof part === 'number');
    if (numbers.length === parts.length) return this.integers(numbers);
    return this.concat(
      parts.map((part) => (typeof part === 'number' ? this.integers([part]) : part)),
      0,
    );
  }
  /** Return the product of the sizes of axes as a scalar of the given element type. */
  sizeOf(x: Value, axes: readonly number[], dtype: DataType): Value {
    checkOperand('sizeOf', x);
    const sizes = axes.map((axis): Dimension => x.shape[axis] ?? 1);
    if (sizes.every((size) => typeof size === 'number')) return this.scalar(elementCount(sizes), dtype);
    const chosen = this.gather(this.op('Shape', [x]), this.integers(axes));
    return this.cast(this.op('ReduceProd', [chosen, this.integers([0])], { keepdims: int(0) }), dtype);
  }
  filled(shape: readonly number[], number: number, dtype: DataType): Value {
    const value = elements(tensorFrom(dtype, [1], [number]));
    return this.op('ConstantOfShape', [this.integers(shape)], { value });
  }
  zerosLike(x: Value): Value {
    return this.#filledLike(x, 0);
  }
  onesLike(x: Value): Value {
    return this.#filledLike(x, 1);
  }
  /** Return zeros that share no node with other values: a variable to differentiate by. */
  placeholderLike(x: Value): Value {
    return this.op('Identity', [this.zerosLike(x)], {}, { fresh: true });
  }

  /**
   * Repeat a body while its condition holds, at most `limit` times. What is carried from round to round has names: values
   * and lists of values, which keep their types. The body may use values of the enclosing graph.
   * @param round returns the values that the next round begins with, and in `again` whether there is one
   * @returns what the last round returned
   * @example
   * const { power } = b.loop(5, { power: x }, (inner, _, { power }) => ({ power: inner.mul(power, x) }));
   */
  loop<Initial extends Carried>(
    limit: number | Value,
    initial: Initial,
    round: (b: Builder, iteration: Value, carried: CarriedLike<Initial>) => CarriedLike<Initial> & { again?: Value },
    start: Value = this.constant(tensorFrom('bool', [], [1])),
  ): CarriedLike<Initial> {
    const inner = this.nested();
    const iteration = inner.input('iteration', 'int64', []);
    const condition = inner.input('condition', 'bool', []);
    const values = flatten(initial, initial);
    const inputs = values.map(({ name, value }) => inner.input(name, value.dtype, value.shape));
    const result = round(inner, iteration, likewise(initial, inputs));
    const outputs: Record<string, Value> = { again: inner.output(result.again ?? condition) };
    for (const { name, value } of flatten(result, initial)) outputs[`next_${name}`] = inner.output(value);
    const graph = inner.build('body', outputs, [iteration, condition, ...inputs]);
    const count = typeof limit === 'number' ? this.scalar(limit, 'int64') : limit;
    const given = values.map(({ value }) => value);
    const names = given.map(({ name }) => name);
    const last = this.node('Loop', [count, start, ...given], { body: body(graph) }, { outputs: names });
    return likewise(initial, last);
  }

  /**
   * Run a body once for each slice of sequences along their first axis, with values carried from round to round. The body
   * may use values of the enclosing graph. Unlike a loop, it can be differentiated.
   * @param round returns the values that the next round begins with, and a slice of each sequence that the rounds give out
   * @param fromEnd whether sequences are read and written from the last slice to the first
   * @example
   * // running sums of x: [steps, features]
   * const { given } = b.scan({ sum: b.filled([3], 0, 'float32') }, { x }, (inner, { sum }, slices) => {
   *   const next = inner.add(sum, slices.x);
   *   return { carried: { sum: next }, given: { sums: next } };
   * });
   */
  scan<
    Initial extends Readonly<Record<string, Value>>,
    Sequences extends Readonly<Record<string, Value | undefined>>,
    Given extends Readonly<Record<string, Value>>,
  >(
    initial: Initial,
    sequences: Sequences,
    round: (
      b: Builder,
      carried: Readonly<Record<keyof Initial, Value>>,
      slices: Sequences,
    ) => { readonly carried: Readonly<Record<keyof Initial, Value>>; readonly given: Given },
    fromEnd = false,
  ): {
    readonly carried: Readonly<Record<keyof Initial, Value>>;
    readonly given: Readonly<Record<keyof Given, Value>>;
  } {
    const inner = this.nested();
    const begun = Object.entries(initial);
    const read = Object.entries(sequences).flatMap(([name, value]) => (value ? [[name, value] as const] : []));
    const states = begun.map(([name, value]) => [name, inner.input(name, value.dtype, value.shape)] as const);
    const slices = read.map(([name, { dtype, shape }]) => [name, inner.input(name, dtype, shape.slice(1))] as const);
    const result = round(
      inner,
      Object.fromEntries(states) as Record<keyof Initial, Value>, // one for each of its names
      Object.fromEntries(slices) as Sequences, // one for each that there is
    );
    const given = Object.entries(result.given);
    const names = [...begun.map(([name]) => `next_${name}`), ...given.map(([name]) => `given_${name}`)];
    const values = inner.results([
      ...begun.map(([name]) => result.carried[name] as Value), // the same names
      ...given.map(([, value]) => value),
    ]);
    const outputs = names.map((name, i) => [name, values[i] as Value] as const); // a value for each
    const graph = inner.build(
      'round',
      Object.fromEntries(outputs),
      [...states, ...slices].map(([, value]) => value),
    );
    const directions = (count: number) => Array.from({ length: count }, () => fromEnd);
    const found = this.node(
      'Scan',
      [...begun, ...read].map(([, value]) => value),
      scanAttributes(graph, directions(read.length), directions(given.length)),
      { outputs: names },
    );
    const named = (entries: readonly (readonly [string, Value])[], from: number) =>
      Object.fromEntries(entries.map(([name], i) => [name, found[from + i] as Value])); // an output for each
    return {
      carried: named(begun, 0) as Record<keyof Initial, Value>,
      given: named(given, begun.length) as Record<keyof Given, Value>,
    };
  }

  /** Return the builder of a graph inside this one: of a body. */
  nested(): Builder {
    return new Builder(this);
  }

  /** Return the values of one of two graphs, chosen when the program runs; only the chosen one is computed. */
  branch(
    condition: Value,
    whenTrue: (b: Builder) => readonly Value[],
    whenFalse: (b: Builder) => readonly Value[],
  ): readonly Value[] {
    const build = (name: string, make: (b: Builder) => readonly Value[]): Graph => {
      const inner = this.nested();
      const outputs = make(inner).map((value, i) => [`${name}${i}`, inner.output(value)] as const);
      return inner.build(name, Object.fromEntries(outputs), []);
    };
    const then = build('then', whenTrue);
    const otherwise = build('otherwise', whenFalse);
    const attributes = { then_branch: body(then), else_branch: body(otherwise) };
    return this.node('If', [condition], attributes, { outputs: then.outputs.map(({ value }) => value.name) });
  }

  /** Return the value as computed by a node of this very graph: bodies may not return captured values or constants. */
  output(value: Value): Value {
    return this.op('Identity', [value], {}, { fresh: true });
  }

  /** Return values as outputs of a body, each another one: those that a node of this graph computes are copied only if they repeat. */
  results(values: readonly Value[]): readonly Value[] {
    return values.map((value, i) => (this.computes(value) && values.indexOf(value) === i ? value : this.output(value)));
  }

  #operand(op: OpName, operand: Operand, dtype: DataType): Value {
    if (typeof operand === 'number') return this.scalar(operand, dtype);
    checkOperand(op, operand);
    return operand;
  }

  #filledLike(x: Value, number: number): Value {
    checkOperand('ConstantOfShape', x);
    if (x.rank === 0) return this.scalar(number, x.dtype);
    const value = elements(tensorFrom(x.dtype, [1], [number]));
    return this.op('ConstantOfShape', [this.shapeOf(x)], { value });
  }

  /** `left` and `right` are the neutral numbers of the operator on each side. */
  #binary(op: OpName, x: Operand, y: Operand, left?: number, right?: number): Value {
    const dtype = commonType(x, y);
    const a = this.#operand(op, x, dtype);
    const c = this.#operand(op, y, dtype);
    if (left !== undefined && isNumber(a, left)) return c;
    if (right !== undefined && isNumber(c, right)) return a;
    return this.op(op, [a, c]);
  }

  #reduce(op: OpName, x: Value, axes: readonly number[] | undefined, keepDimensions: boolean): Value {
    checkOperand(op, x);
    if (axes?.length === 0) return x;
    // Counted from the front: the runtime (1.30.0) mistakes negative axes of empty tensors.
    const inputs = axes ? [x, this.integers(axes.map((axis) => (axis < 0 ? axis + x.rank : axis)))] : [x];
    return this.op(op, inputs, { keepdims: int(keepDimensions ? 1 : 0) });
  }
}
