// Arithmetic and elementary functions of each element; several tensors broadcast as NumPy's do.
import { GraphError } from '../errors.js';
import { inputOf, stringAttribute, type TensorType, text, type Value } from '../graph/graph.js';
import { isDataType, isFloatingPoint } from '../graph/tensor.js';
import {
  type GradientContext,
  type GradientRule,
  type NodeDraft,
  noGradient,
  type OpDefinition,
  type OpFamily,
  zeroGradient,
} from './definition.js';
import { type FoldedOp, foldElementwise } from './shapes/folding.js';
import { broadcastShapes } from './shapes/shapes.js';

/** Return the type of inputs that broadcast together; they share one element type. */
export function inferBroadcast(node: NodeDraft): TensorType[] {
  const inputs = node.inputs.filter((input) => input !== undefined);
  const [first, ...rest] = inputs;
  if (!first) throw new GraphError('has no inputs');
  for (const other of rest) {
    if (other.dtype !== first.dtype) throw new GraphError(`mixes ${first.dtype} and ${other.dtype}; cast one of them`);
  }
  return [{ dtype: first.dtype, shape: broadcastShapes(...inputs.map((input) => input.shape)) }];
}

export const inferSame = (node: NodeDraft): TensorType[] => [inputOf(node, 0).type];

export const unary = (gradient: GradientRule): OpDefinition => ({ infer: inferSame, gradient });
const folded = (op: FoldedOp, gradient: GradientRule): OpDefinition => ({
  infer: inferBroadcast,
  gradient,
  fold: foldElementwise(op),
});

/** Max and Min of any number of tensors: the cotangent goes to the extreme element; equal ones share it equally. */
const extremum: GradientRule = ({ b, node, y, dy }) => {
  if (node.inputs.length === 1) return [dy];
  const isExtreme = node.inputs.map((input) => input && b.equal(input, y));
  const counted = isExtreme.flatMap((extreme) => (extreme ? [b.cast(extreme, dy.dtype)] : []));
  const share = b.div(
    dy,
    counted.reduce((total, extreme) => b.add(total, extreme)),
  );
  return isExtreme.map((extreme) => extreme && b.where(extreme, share, 0));
};

/** Clip passes the cotangent to x within the limits (inclusive), and to a limit for elements beyond it. */
const clipGradient: GradientRule = ({ b, node, x, dy }) => {
  const [, low, high] = node.inputs;
  const belowLow = low && b.less(x(0), low);
  const aboveHigh = high && b.greater(x(0), high);
  let inside = dy;
  if (belowLow) inside = b.where(belowLow, 0, inside);
  if (aboveHigh) inside = b.where(aboveHigh, 0, inside);
  return [inside, belowLow && b.where(belowLow, dy, 0), aboveHigh && b.where(aboveHigh, dy, 0)];
};

/** The exponent of a Pow if it is one known number. */
function knownExponent({ x }: GradientContext): number | undefined {
  const { constant } = x(1);
  return constant?.data.length === 1 ? Number(constant.data[0]) : undefined;
}

/** d xᵖ = p·xᵖ⁻¹·dx + xᵖ·log(x)·dp, finite at x = 0 for p = 0, 1, 2, … to any order. */
const powGradient: GradientRule = (context) => {
  const { b, x, y, dy, isWanted } = context;
  const exponent = b.cast(x(1), dy.dtype);
  const known = knownExponent(context);
  const powerBefore = (): Value => {
    if (known === 0) return b.zerosLike(dy);
    if (known === 1) return dy;
    if (known !== undefined) return b.mul(dy, b.mul(known, known === 2 ? x(0) : b.pow(x(0), known - 1)));
    // At p = 0 the derivative is 0; p·xᵖ⁻¹ would be 0·∞ at x = 0.
    return b.mul(dy, b.where(b.equal(exponent, 0), 0, b.mul(exponent, b.pow(x(0), b.sub(exponent, 1)))));
  };
  // 0ᵖ is 0 for every p > 0, so its derivative by p is too; log 0 must not enter.
  const logarithm = () => b.log(b.where(b.equal(x(0), 0), 1, x(0)));
  return [isWanted(0) ? powerBefore() : undefined, isWanted(1) ? b.mul(dy, b.mul(y, logarithm())) : undefined];
};

export type ElementwiseOp =
  | 'Add'
  | 'Sub'
  | 'Mul'
  | 'Div'
  | 'Mod'
  | 'Pow'
  | 'Sum'
  | 'Mean'
  | 'Max'
  | 'Min'
  | 'Clip'
  | 'Neg'
  | 'Abs'
  | 'Sign'
  | 'Floor'
  | 'Ceil'
  | 'Round'
  | 'Exp'
  | 'Log'
  | 'Sqrt'
  | 'Reciprocal'
  | 'Erf'
  | 'Sin'
  | 'Cos'
  | 'Tan'
  | 'Asin'
  | 'Acos'
  | 'Atan'
  | 'Sinh'
  | 'Cosh'
  | 'Asinh'
  | 'Acosh'
  | 'Atanh'
  | 'Cast'
  | 'CastLike';

export const elementwiseOps: OpFamily<ElementwiseOp> = {
  Add: { ...folded('Add', ({ dy }) => [dy, dy]), traits: { arithmetic: true } },
  Sub: { ...folded('Sub', ({ b, dy }) => [dy, b.neg(dy)]), traits: { arithmetic: true } },
  Mul: { ...folded('Mul', ({ b, x, dy }) => [b.mul(dy, x(1)), b.mul(dy, x(0))]), traits: { arithmetic: true } },
  // d(x/z) = dx/z − (x/z)·dz/z
  Div: {
    ...folded('Div', ({ b, x, y, dy }) => [b.div(dy, x(1)), b.neg(b.div(b.mul(dy, y), x(1)))]),
    traits: { arithmetic: true },
  },
  Mod: {
    infer: inferBroadcast,
    gradient: noGradient('the remainder jumps; keep trainable parameters out of it'),
    fold: (node) => (inputOf(node, 0).dtype === 'int64' ? foldElementwise('Mod')(node) : undefined),
  },
  Pow: {
    infer: (node) => {
      const [x, exponent] = [inputOf(node, 0), inputOf(node, 1)];
      return [{ dtype: x.dtype, shape: broadcastShapes(x.shape, exponent.shape) }];
    },
    gradient: powGradient,
    traits: { settings: [1] },
  },
  Sum: { infer: inferBroadcast, gradient: ({ node, dy }) => node.inputs.map(() => dy) },
  Mean: {
    infer: inferBroadcast,
    gradient: ({ b, node, dy }) => node.inputs.map(() => b.div(dy, node.inputs.length)),
  },
  Max: folded('Max', extremum),
  Min: folded('Min', extremum),
  Clip: {
    infer: (node) => [inputOf(node, 0).type],
    gradient: clipGradient,
    traits: { settings: [1, 2], keepsClasses: true },
  },

  Neg: folded('Neg', ({ b, dy }) => [b.neg(dy)]),
  Abs: folded('Abs', ({ b, x, dy }) => [b.mul(dy, b.sign(x(0)))]),
  Sign: folded('Sign', zeroGradient),
  Floor: folded('Floor', zeroGradient),
  Ceil: folded('Ceil', zeroGradient),
  Round: unary(zeroGradient),
  Exp: unary(({ b, y, dy }) => [b.mul(dy, y)]),
  Log: unary(({ b, x, dy }) => [b.div(dy, x(0))]),
  // d√x = 1/(2√x)
  Sqrt: folded('Sqrt', ({ b, y, dy }) => [b.div(b.mul(dy, 0.5), y)]),
  // d(1/x) = −1/x²
  Reciprocal: unary(({ b, y, dy }) => [b.neg(b.mul(dy, b.square(y)))]),
  // d erf(x) = 2/√π · e^(−x²)
  Erf: unary(({ b, x, dy }) => [b.mul(dy, b.mul(2 / Math.sqrt(Math.PI), b.exp(b.neg(b.square(x(0))))))]),

  Sin: unary(({ b, x, dy }) => [b.mul(dy, b.op('Cos', [x(0)]))]),
  Cos: unary(({ b, x, dy }) => [b.neg(b.mul(dy, b.op('Sin', [x(0)])))]),
  Tan: unary(({ b, y, dy }) => [b.mul(dy, b.add(1, b.square(y)))]),
  Asin: unary(({ b, x, dy }) => [b.div(dy, b.sqrt(b.sub(1, b.square(x(0)))))]),
  Acos: unary(({ b, x, dy }) => [b.neg(b.div(dy, b.sqrt(b.sub(1, b.square(x(0))))))]),
  Atan: unary(({ b, x, dy }) => [b.div(dy, b.add(1, b.square(x(0))))]),
  Sinh: unary(({ b, x, dy }) => [b.mul(dy, b.op('Cosh', [x(0)]))]),
  Cosh: unary(({ b, x, dy }) => [b.mul(dy, b.op('Sinh', [x(0)]))]),
  Asinh: unary(({ b, x, dy }) => [b.div(dy, b.sqrt(b.add(b.square(x(0)), 1)))]),
  Acosh: unary(({ b, x, dy }) => [b.div(dy, b.sqrt(b.sub(b.square(x(0)), 1)))]),
  Atanh: unary(({ b, x, dy }) => [b.div(dy, b.sub(1, b.square(x(0))))]),

  Cast: {
    infer: (node) => {
      const to = stringAttribute(node, 'to', '');
      if (!isDataType(to)) throw new GraphError(`cannot cast to '${to}'`);
      return [{ dtype: to, shape: inputOf(node, 0).shape }];
    },
    gradient: ({ b, x, dy }) => [isFloatingPoint(x(0).dtype) ? b.cast(dy, x(0).dtype) : undefined],
    fold: foldElementwise('Cast'),
    traits: { converts: true },
  },
  // A Cast to the element type of another tensor: exporters of functions write it around constants.
  CastLike: {
    infer: (node) => [{ dtype: inputOf(node, 1).dtype, shape: inputOf(node, 0).shape }],
    gradient: ({ b, x, dy }) => [isFloatingPoint(x(0).dtype) ? b.cast(dy, x(0).dtype) : undefined, undefined],
    fold: (node) => {
      const [x, like] = node.inputs;
      const to = like?.knownType?.dtype;
      return to && foldElementwise('Cast')({ ...node, op: 'Cast', inputs: [x], attributes: { to: text(to) } });
    },
  },
};
