// Quantized arithmetic, which is not trained: only the reason is defined. Its scales and zero points are settings.
import { noGradient, type OpDefinition, type OpFamily } from './definition.js';

const quantized = (inputs: number): OpDefinition => ({
  infer: () => [],
  gradient: noGradient('quantized numbers have no gradient; train the model before it is quantized'),
  traits: { settings: Array.from({ length: inputs }, (_, i) => i) },
});

export type QuantizationOp = 'QuantizeLinear' | 'DequantizeLinear' | 'QLinearConv' | 'QLinearMatMul';

export const quantizationOps: OpFamily<QuantizationOp> = {
  QuantizeLinear: quantized(3),
  DequantizeLinear: quantized(3),
  QLinearConv: quantized(9),
  QLinearMatMul: quantized(8),
};
