// The Kronecker factors of a step's blocks: those of the last measurement, with what was computed of them then.
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import type { DampingInput } from './damping.js';
import type { KroneckerOperator } from './kronecker-operator.js';

export interface MeasuredOperators {
  /** The factors of each block, in the order of the blocks. */
  readonly operators: readonly KroneckerOperator[];
  /** Return one of the values that were computed of them. */
  kept(name: string): Value;
}

/**
 * Return the factors of the blocks, for every step, and further values that are computed when they are measured.
 * @param also makes those values, by the names of their states
 */
export function measuredOperators(
  { context, factors, measure }: Pick<DampingInput, 'context' | 'factors' | 'measure'>,
  also: (b: Builder, operators: readonly KroneckerOperator[]) => ReadonlyMap<string, Value>,
): MeasuredOperators {
  const { made, kept } = measure((inner, blocks) => {
    const operatorOf = factors.begin(inner);
    const operators = blocks.map(operatorOf);
    const values = also(inner.b, operators);
    const parts = blocks.flatMap(({ block }, i) =>
      (operators[i] as KroneckerOperator).parts.map((part, k): [string, Value] => [
        `curvature.${block.weight}.${k}`,
        part,
      ]),
    );
    return { operators, values, keeps: new Map([...values, ...parts]) };
  });
  return {
    operators: made.operators.map((operator) => operator.again(context.b, kept)),
    kept: (name) => kept(made.values.get(name) as Value), // of those names
  };
}
