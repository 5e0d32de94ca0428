// Makes gradient checks of operators of one or two tensors over random shapes.
import fc from 'fast-check';
import type { Attributes, Value } from '../../../src/graph/graph.js';
import type { Builder } from '../../../src/ops/builder.js';
import type { OpName } from '../../../src/ops/table.js';
import type { GradientCase, InputSpec } from '../gradient-check.js';
import { broadcastable, shape } from './shapes.js';

type Options = Partial<InputSpec> & Pick<GradientCase, 'dtype' | 'order'> & { readonly attributes?: Attributes };

/** `{}` or the property: optional properties may not hold undefined. */
const typed = ({ dtype, order }: Options) => ({ ...(dtype && { dtype }), ...(order && { order }) });

/** Checks of an operator of one tensor; a name such as `com.microsoft.Gelu` carries its domain. */
export function unary(name: OpName, options: Options = {}): fc.Arbitrary<GradientCase> {
  const { attributes, dtype, order, ...spec } = options;
  return shape().map((dims) => ({
    name: attributes ? `${name} ${JSON.stringify(attributes)}` : name,
    inputs: [{ ...spec, shape: dims }],
    build: (b, [x]) => b.op(name, [x], attributes),
    ...typed(options),
  }));
}

/** Checks of a function of tensors that broadcast together. */
export function broadcasting(
  name: string,
  specs: readonly Partial<InputSpec>[],
  build: (b: Builder, x: readonly Value[]) => Value = (b, x) => b.op(name as OpName, x),
  options: Pick<GradientCase, 'dtype' | 'order'> = {},
): fc.Arbitrary<GradientCase> {
  return broadcastable(specs.length).map((shapes) => ({
    name,
    inputs: specs.map((spec, i) => ({ ...spec, shape: shapes[i] ?? [] })),
    build,
    ...options,
  }));
}

/** One of several generators of checks. */
export const anyOf = (...cases: readonly fc.Arbitrary<GradientCase>[]): fc.Arbitrary<GradientCase> =>
  fc.oneof(...cases);
