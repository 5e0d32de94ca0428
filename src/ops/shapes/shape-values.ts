// Integers that a program computes from shapes, with named sizes kept as names: a Reshape to
// [Shape(x)[0], 64] has the type [batch, 64] though `batch` is only known when the program runs.
import { type Dimension, intAttribute, type Node, type Shape, stringAttribute, type Value } from '../../graph/graph.js';
import { integersOf, productOf, quotientOf } from './shapes.js';

/** Shape arithmetic is a few nodes deep; a longer chain is not shape arithmetic. */
const deepest = 24;

/** Shapes have fewer axes. */
const mostAxes = 64;

/** Return the integers of a scalar or a vector as sizes; undefined if they do not follow from shapes. */
export function dimensionsOf(value: Value, depth = 0): readonly Dimension[] | undefined {
  if (value.constant) return value.constant.dims.length > 1 ? undefined : integersOf(value);
  const node = value.producer;
  if (!node || depth > deepest || node.domain !== '' || node.outputs.length > 1) return undefined;
  const rule = Object.hasOwn(rules, node.op) ? rules[node.op] : undefined;
  return rule?.(node, (index) => {
    const input = node.inputs[index];
    return input && dimensionsOf(input, depth + 1);
  });
}

type Rule = (node: Node, x: (index: number) => readonly Dimension[] | undefined) => readonly Dimension[] | undefined;

const same: Rule = (_, x) => x(0);

/** Apply a function to two scalars or vectors, one of which may have a single element. */
const pairwise =
  (combine: (p: Dimension, q: Dimension) => Dimension): Rule =>
  (_, x) => {
    const [left, right] = [x(0), x(1)];
    if (!left || !right) return undefined;
    const length = left.length === 1 ? right.length : left.length;
    if (right.length !== length && right.length !== 1) return undefined;
    return Array.from({ length }, (_, i) =>
      combine(left[left.length === 1 ? 0 : i] ?? 0, right[right.length === 1 ? 0 : i] ?? 0),
    );
  };

const bothNumbers = (p: Dimension, q: Dimension): readonly [number, number] | undefined =>
  typeof p === 'number' && typeof q === 'number' ? [p, q] : undefined;

const rules: Readonly<Record<string, Rule>> = {
  Identity: same,
  Cast: (node, x) => (stringAttribute(node, 'to', '').includes('int') ? x(0) : undefined),
  Squeeze: same,
  Unsqueeze: (node, x) => (node.inputs[0]?.knownType?.shape.length === 0 ? x(0) : undefined),
  Reshape: (node, x) => ((node.outputs[0]?.knownType?.shape.length ?? 2) < 2 ? x(0) : undefined),
  Shape: (node) => {
    const shape = node.inputs[0]?.knownType?.shape;
    return shape && shapeRange(node, shape);
  },
  Size: (node) => {
    const shape = node.inputs[0]?.knownType?.shape;
    return shape && [productOf(shape)];
  },
  Concat: (node, x) => {
    const parts = node.inputs.map((_, i) => x(i));
    return parts.every((part) => part !== undefined) ? parts.flat() : undefined;
  },
  Gather: (_, x) => {
    const [whole, indices] = [x(0), x(1)];
    const chosen = indices?.map((i) => (typeof i === 'number' ? whole?.at(i) : undefined));
    return chosen?.every((size) => size !== undefined) ? chosen : undefined;
  },
  Slice: (_, x) => {
    const [whole, start, end] = [x(0), x(1)?.[0], x(2)?.[0]];
    const step = x(4)?.[0] ?? 1;
    if (typeof start !== 'number' || typeof end !== 'number' || step !== 1) return undefined;
    return whole?.slice(start, end);
  },
  ReduceProd: (_, x) => {
    const sizes = x(0);
    return sizes && [productOf(sizes)];
  },
  Mul: pairwise((p, q) => productOf([p, q])),
  Div: pairwise((p, q) => (bothNumbers(p, q) ? Math.trunc(Number(p) / Number(q)) : quotientOf([p], [q]))),
  Add: pairwise((p, q) => (bothNumbers(p, q) ? Number(p) + Number(q) : p === 0 ? q : q === 0 ? p : `${p}+${q}`)),
  Sub: pairwise((p, q) => (bothNumbers(p, q) ? Number(p) - Number(q) : p === q ? 0 : q === 0 ? p : `${p}-${q}`)),
  // Exporters write Where(shape == −1, ones, shape) before an Expand.
  Where: (_, x) => {
    const [condition, chosen, other] = [x(0), x(1), x(2)];
    if (!condition || !chosen || !other) return undefined;
    return condition.map(
      (c, i) => (c === 0 ? other[other.length === 1 ? 0 : i] : chosen[chosen.length === 1 ? 0 : i]) ?? 0,
    );
  },
  // A named size equals no number that an exporter compares it with (−1 or 0).
  Equal: pairwise((p, q) => (p === q ? 1 : 0)),
  ConstantOfShape: (node, x) => {
    const fill = node.attributes.value;
    const length = x(0)?.[0];
    if (typeof length !== 'number' || !(length >= 0 && length <= mostAxes) || fill?.kind !== 'tensor') return undefined;
    return new Array<number>(length).fill(Number(fill.value.data[0]));
  },
};

/** Return the part of a shape that a Shape node with `start` and `end` computes. */
export function shapeRange(node: Pick<Node, 'attributes'>, shape: Shape): Shape {
  return shape.slice(intAttribute(node, 'start', 0), intAttribute(node, 'end', shape.length));
}
