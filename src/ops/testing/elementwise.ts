// Gradient checks of the elementwise operators.
import type { Value } from '../../graph/graph.js';
import type { CaseTable, GradientCase, InputSpec } from '../../testing/gradient-check.js';
import type { Builder } from '../builder.js';
import { broadcastable } from './shapes.js';

/** Checks of an operator of two tensors that broadcast. */
function binary(
  op: string,
  build: (b: Builder, x: Value, z: Value) => Value,
  specs: readonly Partial<InputSpec>[] = [],
) {
  return broadcastable(2).map(
    ([p = [], q = []]): GradientCase => ({
      name: op,
      inputs: [
        { ...specs[0], shape: p },
        { ...specs[1], shape: q },
      ],
      build: (b, [x, z]) => build(b, x as Value, z as Value),
    }),
  );
}

export const elementwiseCases = {
  Add: binary('Add', (b, x, z) => b.add(x, z)),
  Sub: binary('Sub', (b, x, z) => b.sub(x, z)),
  Mul: binary('Mul', (b, x, z) => b.mul(x, z)),
  Div: binary('Div', (b, x, z) => b.div(x, z), [{}, { range: [0.5, 2] }]),
} satisfies CaseTable;
