// Operators of users that are composed of others.
import { checkKeys } from '../options.js';
import { Builder } from './builder.js';
import { type Expansion, expansionOf, type OpDefinition } from './definition.js';

/**
 * Return the definition of an operator that is composed of others: its types and its gradient follow from its parts.
 * @param expand returns the outputs of a node
 * @param rest its cost and traits, or a gradient that is shorter than that of the parts
 * @throws OptionError for what is no part of a definition
 * @example
 * const swiglu = composedOperator(({ b, x }) => [b.mul(b.mul(x(0), b.sigmoid(x(0))), x(1))]);
 * const model = await loadModel('gpt.onnx', { operators: { 'my.domain.SwiGlu': swiglu } });
 */
export function composedOperator(
  expand: Expansion,
  rest: Partial<Pick<OpDefinition, 'gradient' | 'flops' | 'fold' | 'traits'>> = {},
): OpDefinition {
  checkKeys('composedOperator', rest, { gradient: true, flops: true, fold: true, traits: true });
  return {
    infer: (node) => {
      const b = new Builder();
      const inputs = node.inputs.map(
        (input) => input && (input.constant ? input : b.input(input.name, input.dtype, input.shape)),
      );
      return expansionOf(expand, b, { ...node, inputs }).map(({ knownType }) => knownType);
    },
    gradient: ({ through }) => through(expand),
    expand,
    ...rest,
  };
}
