// Activation functions. Rules use the output if that saves an exponential; a branch that is not taken may overflow, so the
// rules are written in quantities that stay finite on both sides.
import { floatAttribute, inputOf, intAttribute, stringAttribute, type Value } from '../graph/graph.js';
import { type GradientContext, type GradientRule, type NodeDraft, type OpFamily, zeroGradient } from './definition.js';
import { unary } from './elementwise.js';
import { normalizeAxis } from './shapes/shapes.js';

const alphaOf = (node: NodeDraft, fallback: number): number => floatAttribute(node, 'alpha', fallback);

/** The cotangent times `negative` for x ≤ 0, and times `positive` for x > 0. */
const split = ({ b, x, dy }: GradientContext, positive: number, negative: Value | number): readonly Value[] => [
  b.where(b.greater(x(0), 0), b.mul(dy, positive), b.mul(dy, negative)),
];

/** x·Φ(x), Φ the normal distribution function: derivative Φ(x) + x·φ(x). */
function geluDerivative({ b, x }: GradientContext): Value {
  const cumulative = b.mul(0.5, b.add(1, b.op('Erf', [b.mul(x(0), Math.SQRT1_2)])));
  const density = b.mul(1 / Math.sqrt(2 * Math.PI), b.exp(b.mul(-0.5, b.square(x(0)))));
  return b.add(cumulative, b.mul(x(0), density));
}

/** x/2·(1 + t), t = tanh(c·(x + 0.044715·x³)), c = √(2/π): derivative (1 + t)/2 + x/2·(1 − t²)·c·(1 + 0.134145·x²). */
function tanhGeluDerivative({ b, x }: GradientContext): Value {
  const c = Math.sqrt(2 / Math.PI);
  const squared = b.square(x(0));
  const t = b.tanh(b.mul(b.mul(c, x(0)), b.add(1, b.mul(0.044715, squared))));
  const inner = b.mul(c, b.add(1, b.mul(3 * 0.044715, squared)));
  const tail = b.mul(b.mul(0.5, x(0)), b.mul(b.sub(1, b.square(t)), inner));
  return b.add(b.mul(0.5, b.add(1, t)), tail);
}

const geluGradient: GradientRule = (context) => {
  const isApproximate = stringAttribute(context.node, 'approximate', 'none') === 'tanh';
  return [context.b.mul(context.dy, isApproximate ? tanhGeluDerivative(context) : geluDerivative(context))];
};

/** σ(αx)·(1 + αx·(1 − σ(αx))) */
const swishGradient =
  (alpha: (node: NodeDraft) => number): GradientRule =>
  ({ b, node, x, dy }) => {
    const scaled = b.mul(x(0), alpha(node));
    const s = b.sigmoid(scaled);
    return [b.mul(dy, b.mul(s, b.add(1, b.mul(scaled, b.sub(1, s)))))];
  };

export type ActivationOp =
  | 'Relu'
  | 'LeakyRelu'
  | 'Elu'
  | 'Selu'
  | 'Celu'
  | 'PRelu'
  | 'ThresholdedRelu'
  | 'Shrink'
  | 'HardSigmoid'
  | 'HardSwish'
  | 'Mish'
  | 'Tanh'
  | 'Sigmoid'
  | 'Softplus'
  | 'Softsign'
  | 'Gelu'
  | 'com.microsoft.Gelu'
  | 'com.microsoft.QuickGelu'
  | 'Hardmax';

export const activationOps: OpFamily<ActivationOp> = {
  Relu: { ...unary(({ b, y, dy }) => [b.where(b.greater(y, 0), dy, 0)]), traits: { keepsClasses: true } },
  LeakyRelu: unary((context) => split(context, 1, alphaOf(context.node, 0.01))),
  // y = x for x > 0, α(eˣ − 1) otherwise, whose derivative is y + α.
  Elu: unary((context) => split(context, 1, context.b.add(context.y, alphaOf(context.node, 1)))),
  Selu: unary((context) => {
    const scale = floatAttribute(context.node, 'gamma', 1.0507010221481323);
    const alpha = alphaOf(context.node, 1.6732631921768188);
    return split(context, scale, context.b.add(context.y, scale * alpha));
  }),
  // y = x for x > 0, α(e^(x/α) − 1) otherwise
  Celu: unary((context) => {
    const { b, y, node } = context;
    return split(context, 1, b.add(b.div(y, alphaOf(node, 1)), 1));
  }),
  PRelu: {
    infer: (node) => [inputOf(node, 0).type],
    gradient: (context) => {
      const { b, x, dy } = context;
      return [...split(context, 1, x(1)), b.where(b.greater(x(0), 0), 0, b.mul(dy, x(0)))];
    },
    traits: { appliesWeights: true },
  },
  ThresholdedRelu: unary(({ b, x, dy, node }) => [b.where(b.greater(x(0), alphaOf(node, 1)), dy, 0)]),
  Shrink: unary(({ b, x, dy, node }) => {
    return [b.where(b.greater(b.abs(x(0)), floatAttribute(node, 'lambd', 0.5)), dy, 0)];
  }),
  // clip(αx + β, 0, 1)
  HardSigmoid: {
    ...unary(({ b, y, dy, node }) => {
      const inside = b.and(b.greater(y, 0), b.less(y, 1));
      return [b.where(inside, b.mul(dy, alphaOf(node, 0.2)), 0)];
    }),
    traits: { keepsClasses: true },
  },
  // x·clip(x/6 + 1/2, 0, 1): derivative x/3 + 1/2 between −3 and 3
  HardSwish: unary(({ b, x, dy }) => {
    const middle = b.mul(dy, b.add(b.div(x(0), 3), 0.5));
    return [b.where(b.less(x(0), -3), 0, b.where(b.greater(x(0), 3), dy, middle))];
  }),
  // x·t, t = tanh(softplus(x)): t + x·(1 − t²)·σ(x)
  Mish: unary(({ b, x, dy }) => {
    const t = b.tanh(b.op('Softplus', [x(0)]));
    const rest = b.mul(b.mul(x(0), b.sub(1, b.square(t))), b.sigmoid(x(0)));
    return [b.mul(dy, b.add(t, rest))];
  }),
  Tanh: { ...unary(({ b, y, dy }) => [b.mul(dy, b.sub(1, b.square(y)))]), traits: { keepsClasses: true } },
  Sigmoid: { ...unary(({ b, y, dy }) => [b.mul(dy, b.mul(y, b.sub(1, y)))]), traits: { keepsClasses: true } },
  // log(1 + eˣ)
  Softplus: unary(({ b, x, dy }) => [b.mul(dy, b.sigmoid(x(0)))]),
  // x/(1 + |x|)
  Softsign: unary(({ b, x, dy }) => [b.div(dy, b.square(b.add(1, b.abs(x(0)))))]),
  Gelu: unary(geluGradient),
  'com.microsoft.Gelu': unary(geluGradient),
  'com.microsoft.QuickGelu': unary(swishGradient((node) => alphaOf(node, 1.702))),
  // One at the largest element, zero elsewhere: piecewise constant.
  Hardmax: {
    infer: (node) => {
      normalizeAxis(intAttribute(node, 'axis', -1), inputOf(node, 0).rank);
      return [inputOf(node, 0).type];
    },
    gradient: zeroGradient,
  },
};
