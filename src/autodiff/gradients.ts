// Reverse-mode differentiation on the graph: cotangents flow from the outputs back to the targets.
import { GraphError, UnsupportedError } from '../errors.js';
import {
  captures,
  dependencies,
  describeNode,
  formatType,
  type Node,
  type Shape,
  subgraphs,
  Value,
} from '../graph/graph.js';
import { isFloatingPoint } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { type Expansion, expansionOf, gradientContext } from '../ops/definition.js';
import { formatShape, range, sameShape } from '../ops/shapes/shapes.js';
import { definitionOf } from '../ops/table.js';
import { described } from '../options.js';

/** An output of the differentiated function, and the cotangent to start from, in the output's shape. */
export interface Seed {
  readonly value: Value;
  readonly cotangent: Value;
}

/**
 * Return vector–Jacobian products: for each target the sum over the seeds of cotangentᵀ · ∂value/∂target, in the target's
 * shape; zeros if no seed depends on the target. The results are values of the graph and can be differentiated again.
 * @throws UnsupportedError naming the node if a path to a target crosses an operator without a gradient rule
 */
export function vectorJacobianProduct(b: Builder, seeds: readonly Seed[], targets: readonly Value[]): Value[] {
  const path = nodesBetween(
    seeds.map((seed) => seed.value),
    targets,
  );
  const onPath = new Set<Value>(targets);
  for (const node of path) for (const output of node.outputs) onPath.add(output);
  const cotangents = new Map<Value, Value>();
  const accumulate = (value: Value, cotangent: Value) => {
    checkTyped(value);
    const fitted = sumToShape(b, cotangent, value.shape);
    const sum = cotangents.get(value);
    cotangents.set(value, sum ? b.add(sum, fitted) : fitted);
  };
  for (const { value, cotangent } of seeds) if (onPath.has(value)) accumulate(value, cotangent);
  for (const node of path.reverse()) {
    const received = node.outputs.map((output) => cotangents.get(output));
    if (received.every((cotangent) => cotangent === undefined)) continue;
    const operands = operandsOf(node);
    const isWanted = (i: number): boolean => {
      const input = operands[i];
      if (input === undefined || !onPath.has(input)) return false;
      checkTyped(input);
      return isFloatingPoint(input.dtype);
    };
    for (const [i, cotangent] of inputCotangents(b, node, operands, received, isWanted).entries()) {
      const input = operands[i];
      if (cotangent && isWanted(i)) accumulate(input as Value, cotangent); // a missing input is not wanted
    }
  }
  return targets.map((target) => cotangents.get(target) ?? b.zerosLike(target));
}

/** Return the gradients of a scalar by the targets, each in its target's shape. @throws UnsupportedError as `vectorJacobianProduct` does */
export function gradients(b: Builder, objective: Value, targets: readonly Value[]): Value[] {
  checkTyped(objective);
  return vectorJacobianProduct(b, [{ value: objective, cotangent: b.onesLike(objective) }], targets);
}

/** Return the nodes on a path from a target to an output, in topological order. */
function nodesBetween(outputs: readonly Value[], targets: readonly Value[]): Node[] {
  const reached = new Map<Node, boolean>();
  const sources = new Set(targets);
  const order: Node[] = [];
  const depends = (value: Value | undefined): boolean =>
    value !== undefined &&
    (sources.has(value) || (value.producer !== undefined && reached.get(value.producer) === true));
  // Depth first without recursion: exported networks are thousands of nodes deep.
  const stack: { node: Node; ready: boolean }[] = [];
  const visit = (value: Value | undefined) => {
    if (value?.producer && !reached.has(value.producer)) stack.push({ node: value.producer, ready: false });
  };
  for (const output of outputs) {
    visit(output);
    for (let top = stack.pop(); top; top = stack.pop()) {
      if (top.ready) {
        const isReached = top.node.inputs.some(depends) || crossesBody(top.node, depends);
        if (isReached && reached.get(top.node) !== true) order.push(top.node);
        reached.set(top.node, isReached);
      } else if (!reached.has(top.node)) {
        reached.set(top.node, false);
        stack.push({ node: top.node, ready: true });
        for (const input of dependencies(top.node)) visit(input);
      }
    }
  }
  return order;
}

const crossesBody = (node: Node, depends: (value: Value) => boolean): boolean =>
  subgraphs(node).length > 0 && dependencies(node).some(depends);

/** The inputs of a node, then the values that its bodies capture. */
const operandsOf = (node: Node): readonly (Value | undefined)[] => {
  const bodies = subgraphs(node);
  return bodies.length === 0 ? node.inputs : [...node.inputs, ...bodies.flatMap((body) => [...captures(body)])];
};

/** @throws UnsupportedError, naming the first operator without a type, if the type of a value on the path is not known */
function checkTyped(value: Value): void {
  let origin = value;
  for (let next: Value | undefined = value; next && !next.knownType; ) {
    origin = next;
    next = next.producer?.inputs.find((input) => input && !input.knownType);
  }
  const node = origin.producer;
  if (origin.knownType || !node) return;
  if (!definitionOf(node)) throw unknownOperator(node);
  throw new UnsupportedError(
    `${describeNode(node)} lies on the way from the loss to a trainable parameter, and the shape it computes is only known ` +
      `when the program runs; export the model with fixed sizes (all but the batch)`,
  );
}

const unknownOperator = (node: Node) =>
  new UnsupportedError(
    `${describeNode(node)} lies on the way from the loss to a trainable parameter, and cgfac has no gradient rule for ` +
      `this operator; give its definition to loadModel (operators), freeze the parameters before it, or replace it before exporting the model`,
  );

function inputCotangents(
  b: Builder,
  node: Node,
  operands: readonly (Value | undefined)[],
  received: readonly (Value | undefined)[],
  isWanted: (index: number) => boolean,
): readonly (Value | undefined)[] {
  const definition = definitionOf(node);
  if (!definition) throw unknownOperator(node);
  const refuse = (reason: string, cause?: Error) =>
    new UnsupportedError(`${describeNode(node)} cannot be differentiated: ${reason}`, { cause });
  if ('refusal' in definition.gradient) throw refuse(definition.gradient.refusal);
  try {
    const through = (expansion: Expansion) => cotangentsThrough(b, node, received, isWanted, expansion);
    const found: unknown = definition.gradient(
      gradientContext(b, node, received, isWanted, through, vectorJacobianProduct),
    );
    if (!Array.isArray(found)) throw new GraphError(`its gradient rule returned ${described(found)}, not an array`);
    for (const [i, cotangent] of found.entries()) {
      const operand = operands[i];
      if (cotangent !== undefined && i >= operands.length) {
        throw new GraphError(`its gradient rule returned ${found.length} cotangents for ${operands.length} inputs`);
      }
      if (cotangent !== undefined && operand && isWanted(i)) checkCotangent(i, operand, cotangent);
    }
    const missing = operands.findIndex((_, i) => i >= found.length && isWanted(i));
    if (missing >= 0) {
      throw new GraphError(
        `its gradient rule returned ${described(found)}, and none for input ${missing}: give a cotangent for each input, undefined for one that nothing depends on`,
      );
    }
    return found;
  } catch (error) {
    if (error instanceof GraphError || error instanceof UnsupportedError) throw refuse(error.message, error);
    throw error;
  }
}

/** @throws GraphError if a rule, which may be a user's, returns another type or shape than one that its input broadcasts to */
function checkCotangent(index: number, input: Value, cotangent: unknown): void {
  const type = formatType(input.type);
  if (!(cotangent instanceof Value)) {
    throw new GraphError(`its gradient rule returned ${described(cotangent)} for input ${index}, which is ${type}`);
  }
  const lead = cotangent.rank - input.rank;
  const fits = input.shape.every((size, i) => {
    const found = cotangent.shape[i + lead];
    return size === 1 || typeof size === 'string' || typeof found === 'string' || found === size;
  });
  if (cotangent.dtype === input.dtype && lead >= 0 && fits) return;
  throw new GraphError(
    `its gradient rule returned ${formatType(cotangent.type)} for input ${index}, which is ${type}: give the input's type, in its shape or one that it broadcasts to`,
  );
}

/** Return the cotangents of a node's inputs through an expansion, as if no input depended on another. */
function cotangentsThrough(
  b: Builder,
  node: Node,
  received: readonly (Value | undefined)[],
  isWanted: (index: number) => boolean,
  expansion: Expansion,
): (Value | undefined)[] {
  const inputs = node.inputs.map((input, i) => (input && isWanted(i) ? b.output(input) : input));
  const wantedOutputs = 1 + received.findLastIndex((cotangent) => cotangent !== undefined);
  const outputs = expansionOf(expansion, b, { ...node, inputs }, wantedOutputs);
  const seeds = outputs.flatMap((value, i): Seed[] => {
    const cotangent = received[i];
    return cotangent ? [{ value, cotangent }] : [];
  });
  const wanted = inputs.flatMap((input, i) => (input && isWanted(i) ? [input] : []));
  const found = vectorJacobianProduct(b, seeds, wanted);
  return inputs.map((input) => (input && wanted.includes(input) ? found[wanted.indexOf(input)] : undefined));
}

/** Return a cotangent summed over the axes along which a value of the given shape was broadcast. */
function sumToShape(b: Builder, cotangent: Value, shape: Shape): Value {
  if (sameShape(cotangent.shape, shape)) return cotangent;
  const lead = cotangent.rank - shape.length;
  if (lead < 0) throw new Error(`cannot sum ${formatShape(cotangent.shape)} to ${formatShape(shape)}`);
  const leading = range(0, lead);
  const stretched = shape.flatMap((size, i) => (size === 1 && cotangent.shape[i + lead] !== 1 ? [i + lead] : []));
  const summed = b.sum(cotangent, [...leading, ...stretched], true);
  return lead === 0 ? summed : b.squeeze(summed, leading);
}
