// Operators that act on each element by itself, with NumPy broadcasting where they take several tensors.
import { GraphError } from '../errors.js';
import { floatAttribute, inputOf, stringAttribute, type TensorType } from '../graph/graph.js';
import { isDataType } from '../graph/tensor.js';
import {
  type GradientContext,
  type GradientRule,
  type NodeDraft,
  noGradient,
  type OpDefinition,
  zeroGradient,
} from './definition.js';
import { foldElementwise } from './folding.js';
import { broadcastShapes } from './shapes.js';

/** The inputs broadcast together; they share one element type. */
function inferBroadcast(node: NodeDraft): TensorType[] {
  const inputs = node.inputs.filter((input) => input !== undefined);
  const [first, ...rest] = inputs;
  if (!first) throw new GraphError('has no inputs');
  for (const other of rest) {
    if (other.dtype !== first.dtype) throw new GraphError(`mixes ${first.dtype} and ${other.dtype}; cast one of them`);
  }
  return [{ dtype: first.dtype, shape: broadcastShapes(...inputs.map((input) => input.shape)) }];
}

const inferSame = (node: NodeDraft): TensorType[] => [inputOf(node, 0).type];

const inferComparison = (node: NodeDraft): TensorType[] =>
  inferBroadcast(node).map(({ shape }) => ({ dtype: 'bool', shape }));

const unary = (gradient: GradientRule): OpDefinition => ({ infer: inferSame, gradient });
const binary = (op: string, gradient: GradientRule): OpDefinition => ({
  infer: inferBroadcast,
  gradient,
  fold: foldElementwise(op),
});
const comparison = (op: string): OpDefinition => ({
  infer: inferComparison,
  gradient: zeroGradient,
  fold: foldElementwise(op),
});

/** Max and Min of any number of tensors: the cotangent goes to the winner and is shared equally where they tie. */
const extremum: GradientRule = ({ b, node, y, dy }) => {
  const winners = node.inputs.map((input) => (input ? b.cast(b.equal(input, y), dy.dtype) : undefined));
  const present = winners.filter((winner) => winner !== undefined);
  const count = present.reduce((total, winner) => b.add(total, winner));
  const share = b.div(dy, count);
  return winners.map((winner) => winner && b.mul(share, winner));
};

/** d erf(x)/dx = 2/√π · e^(−x²) */
const erfSlope = ({ b, x }: GradientContext) => b.mul(2 / Math.sqrt(Math.PI), b.exp(b.neg(b.square(x(0)))));

export const elementwiseOps = {
  Add: binary('Add', ({ dy }) => [dy, dy]),
  Sub: binary('Sub', ({ b, dy }) => [dy, b.neg(dy)]),
  Mul: binary('Mul', ({ b, x, dy }) => [b.mul(dy, x(1)), b.mul(dy, x(0))]),
  // d(x/z) = dx/z − (x/z)·dz/z
  Div: binary('Div', ({ b, x, y, dy }) => [b.div(dy, x(1)), b.neg(b.div(b.mul(dy, y), x(1)))]),
  Sum: { infer: inferBroadcast, gradient: ({ node, dy }) => node.inputs.map(() => dy) },
  Max: { infer: inferBroadcast, gradient: extremum, fold: foldElementwise('Max') },
  Min: { infer: inferBroadcast, gradient: extremum, fold: foldElementwise('Min') },

  Identity: { infer: inferSame, gradient: ({ dy }) => [dy] },
  Neg: { ...unary(({ b, dy }) => [b.neg(dy)]), fold: foldElementwise('Neg') },
  Abs: unary(({ b, x, dy }) => [b.mul(dy, b.sign(x(0)))]),
  Sign: unary(zeroGradient),
  Floor: unary(zeroGradient),
  Ceil: unary(zeroGradient),
  Round: unary(zeroGradient),
  Exp: unary(({ b, y, dy }) => [b.mul(dy, y)]),
  Log: unary(({ b, x, dy }) => [b.div(dy, x(0))]),
  // d√x = 1/(2√x)
  Sqrt: unary(({ b, y, dy }) => [b.div(b.mul(dy, 0.5), y)]),
  // d(1/x) = −1/x²
  Reciprocal: unary(({ b, y, dy }) => [b.neg(b.mul(dy, b.square(y)))]),
  Erf: unary((context) => [context.b.mul(context.dy, erfSlope(context))]),

  Relu: unary(({ b, y, dy }) => [b.where(b.greater(y, 0), dy, 0)]),
  Tanh: unary(({ b, y, dy }) => [b.mul(dy, b.sub(1, b.square(y)))]),
  Sigmoid: unary(({ b, y, dy }) => [b.mul(dy, b.mul(y, b.sub(1, y)))]),
  // d log(1 + eˣ) = σ(x)
  Softplus: unary(({ b, x, dy }) => [b.mul(dy, b.sigmoid(x(0)))]),
  LeakyRelu: unary(({ b, x, dy, node }) => [
    b.where(b.greater(x(0), 0), dy, b.mul(dy, floatAttribute(node, 'alpha', 0.01))),
  ]),

  Equal: comparison('Equal'),
  Less: comparison('Less'),
  LessOrEqual: comparison('LessOrEqual'),
  Greater: comparison('Greater'),
  GreaterOrEqual: comparison('GreaterOrEqual'),
  And: comparison('And'),
  Or: comparison('Or'),
  Not: { infer: inferComparison, gradient: zeroGradient },

  Where: {
    infer: (node) => {
      const [condition, x, z] = [inputOf(node, 0), inputOf(node, 1), inputOf(node, 2)];
      if (condition.dtype !== 'bool') throw new GraphError(`the condition is ${condition.dtype}, not bool`);
      if (x.dtype !== z.dtype) throw new GraphError(`mixes ${x.dtype} and ${z.dtype}; cast one of them`);
      return [{ dtype: x.dtype, shape: broadcastShapes(condition.shape, x.shape, z.shape) }];
    },
    gradient: ({ b, x, dy }) => [undefined, b.where(x(0), dy, 0), b.where(x(0), 0, dy)],
  },

  Cast: {
    infer: (node) => {
      const to = stringAttribute(node, 'to', '');
      if (!isDataType(to)) throw new GraphError(`cannot cast to '${to}'`);
      return [{ dtype: to, shape: inputOf(node, 0).shape }];
    },
    gradient: ({ b, x, dy }) => [b.cast(dy, x(0).dtype)],
    fold: foldElementwise('Cast'),
  },
  BitShift: { infer: inferBroadcast, gradient: noGradient('integers have no gradient; train what comes after it') },
} satisfies Record<string, OpDefinition>;
