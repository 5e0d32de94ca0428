// Where diagnostics look: at the factors of blocks when they are measured, and at the steps when they are made.
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { StepContext } from '../optimizer.js';
import type { StepRuleResult } from '../steps/rule.js';
import type { BlockDirection } from './block.js';
import type { Damping, DampingInput } from './damping.js';
import type { Diagnostics } from './diagnostics.js';
import type { Measure } from './refresh.js';
import { batchOperator } from './row-coordinates.js';

/**
 * Return the input of a damping whose factors are reported when they are measured; for dampings that take the rows of a batch
 * alone, the factors of these rows.
 * @param isProduct whether the form of a block is a Kronecker product
 */
export function withDiagnostics(
  diagnostics: Diagnostics,
  damping: Damping,
  isProduct: (block: KroneckerBlock) => boolean,
  input: DampingInput,
): DampingInput {
  const observed = { ...input, tellsSolves: diagnostics.readsSolves === true };
  const { factors, measure, delta } = input;
  if (!diagnostics.factors) return observed;
  if (!damping.usesRows) {
    const begin: typeof factors.begin = (context) => {
      const operatorOf = factors.begin(context);
      return (each) => {
        const operator = operatorOf(each);
        diagnostics.factors?.(context, { block: each.block, operator, delta });
        return operator;
      };
    };
    return { ...observed, factors: { ...factors, begin } };
  }
  const measureRows: Measure = (make) =>
    measure((context, blocks) => {
      for (const { block, rows } of blocks) {
        if (!isProduct(block)) continue;
        const operator = batchOperator(context.b, block, rows);
        diagnostics.factors?.(context, { block, operator, delta });
      }
      return make(context, blocks);
    });
  return { ...observed, measure: measureRows };
}

/** Report the steps of blocks: what their parameters change by. */
export function reportSteps(
  diagnostics: Diagnostics,
  context: StepContext,
  blocks: readonly BlockDirection[],
  { parameters: after }: StepRuleResult,
): void {
  const { b, parameters } = context;
  const changes = new Map(
    [...after].flatMap(([name, value]) => {
      const before = parameters.get(name);
      return before ? [[name, b.sub(value, before)] as const] : [];
    }),
  );
  for (const each of blocks) diagnostics.step(context, { ...each, step: each.block.take(b, changes) });
}
