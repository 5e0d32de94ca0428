// Operators of users that are composed of others.
import { inputOf } from '../graph/graph.js';
import { Builder } from './builder.js';
import type { Expansion, OpDefinition } from './definition.js';

/**
 * Return the definition of an operator that is composed of others: its types and its gradient follow from its parts.
 * @param expand returns the outputs of a node
 * @param rest its cost and traits, or a gradient that is shorter than that of the parts
 * @example
 * const swiglu = composedOperator(({ b, x }) => [b.mul(b.mul(x(0), b.sigmoid(x(0))), x(1))]);
 * const model = await loadModel('gpt.onnx', { operators: { 'my.domain.SwiGlu': swiglu } });
 */
export const composedOperator = (
  expand: Expansion,
  rest: Partial<Pick<OpDefinition, 'gradient' | 'flops' | 'fold' | 'traits'>> = {},
): OpDefinition => ({
  infer: (node) => {
    const b = new Builder();
    const inputs = node.inputs.map(
      (input) => input && (input.constant ? input : b.input(input.name, input.dtype, input.shape)),
    );
    const copy = { ...node, inputs };
    return expand({ b, node: copy, x: (index) => inputOf(copy, index) }).map(({ knownType }) => knownType);
  },
  gradient: ({ through }) => through(expand),
  expand,
  ...rest,
});
