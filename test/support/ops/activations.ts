// Gradient checks of the activation functions.
import { float, int, text } from '../../../src/graph/graph.js';
import type { CaseTable } from '../gradient-check.js';
import { anyOf, broadcasting, unary } from './make.js';

const kink = { avoid: [0] };
/** Operators without a float64 kernel. */
const single = { dtype: 'float32' } as const;

export const activationCases = {
  Relu: unary('Relu', kink),
  LeakyRelu: anyOf(
    unary('LeakyRelu', { ...kink, ...single }),
    unary('LeakyRelu', { ...kink, ...single, attributes: { alpha: float(0.3) } }),
  ),
  Elu: anyOf(
    unary('Elu', { ...kink, ...single }),
    unary('Elu', { ...kink, ...single, attributes: { alpha: float(1.7) } }),
  ),
  Selu: unary('Selu', { ...kink, ...single }),
  Celu: anyOf(
    unary('Celu', { ...kink, ...single }),
    unary('Celu', { ...kink, ...single, attributes: { alpha: float(0.6) } }),
  ),
  PRelu: broadcasting(
    'PRelu',
    [{ ...kink }, {}],
    (b, [x, slope]) => {
      // The slope broadcasts to x, not the other way.
      const whole = x && slope ? b.mul(x, b.exp(b.mul(0, slope))) : x;
      return b.op('PRelu', [whole, slope]);
    },
    single,
  ),
  ThresholdedRelu: unary('ThresholdedRelu', { avoid: [0.4], ...single, attributes: { alpha: float(0.4) } }),
  Shrink: unary('Shrink', { ...single, avoid: [-0.4, 0.4], attributes: { lambd: float(0.4), bias: float(0.1) } }),
  HardSigmoid: unary('HardSigmoid', { ...single, avoid: [-1, 1], attributes: { alpha: float(0.5) } }),
  HardSwish: unary('HardSwish', { ...single, range: [-5, 5], avoid: [-3, 3] }),
  Mish: unary('Mish', single),
  Tanh: unary('Tanh'),
  Sigmoid: unary('Sigmoid'),
  Softplus: unary('Softplus', single),
  Softsign: unary('Softsign', { ...kink, ...single }),
  Gelu: anyOf(unary('Gelu', single), unary('Gelu', { ...single, attributes: { approximate: text('tanh') } })),
  'com.microsoft.Gelu': unary('com.microsoft.Gelu', single),
  'com.microsoft.QuickGelu': anyOf(
    unary('com.microsoft.QuickGelu', single),
    unary('com.microsoft.QuickGelu', { ...single, attributes: { alpha: float(1) } }),
  ),
  Hardmax: [
    {
      name: 'Hardmax',
      inputs: [{ shape: [2, 3], separated: true }],
      build: (b, [x]) => b.mul(b.op('Hardmax', [x], { axis: int(1) }), x ?? 0),
      dtype: 'float32',
    },
  ],
} satisfies CaseTable;
