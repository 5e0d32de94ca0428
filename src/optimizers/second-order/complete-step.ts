// The rest of a second-order step: the parameters outside all blocks, and whether the whole step is kept.
import type { BlockTable } from '../../curvature/blocks.js';
import type { Value } from '../../graph/graph.js';
import { type Optimizer, restricted, type StepContext, type StepResult, scoped, stepResult } from '../optimizer.js';
import { acceptanceOf, isFiniteScalar } from '../steps/acceptance.js';
import type { StepRuleResult, Watch } from '../steps/rule.js';

/** The steps of the blocks and of the other parameters together, and whether they are kept. */
export function completeStep(
  context: StepContext,
  watch: Watch | undefined,
  stepped: StepRuleResult,
  others: StepResult,
  weight: Value,
): StepResult {
  const { b, report } = context;
  const parameters = new Map([...stepped.parameters, ...others.parameters]);
  const squaredLength = [...others.parameters.values()].reduce(
    (sum, value) => b.add(sum, b.dot(value, value)),
    stepped.squaredLength,
  );
  const finite = isFiniteScalar(b, squaredLength);
  const acceptance = watch && acceptanceOf(context, watch, parameters, finite);
  if (acceptance) {
    const change = b.mul(acceptance.change, weight);
    // The change of what the step predicts: the mean negative log-likelihood, with the prior if there is one.
    report('actualChange', stepped.priorChange ? b.add(change, stepped.priorChange) : change);
  }
  const accept = acceptance ? acceptance.accept : finite;
  return {
    parameters,
    accept: others.accept ? b.and(accept, others.accept) : accept,
    ...(others.evaluated && { evaluated: others.evaluated }),
  };
}

/** The step of parameters outside all blocks, by the gradients of the loss and by the number of kept steps. */
export function restStep(
  rest: Optimizer,
  context: StepContext,
  table: BlockTable,
  ofLikelihood: ReadonlyMap<string, Value>,
  weight: Value,
): StepResult {
  const own = [...ofLikelihood].filter(([name]) => table.rest.has(name));
  const gradients = new Map(own.map(([name, gradient]) => [name, context.b.div(gradient, weight)]));
  const within = restricted(scoped({ ...context, gradients }, 'rest'), table.rest);
  if (within.parameters.size === 0) return { parameters: within.parameters };
  return stepResult(rest, {
    ...within,
    scalar: (name, at) => within.scalar(name, typeof at === 'number' ? at : (_, kept) => at(kept, kept)),
    report: () => undefined, // only the step of the blocks is reported
  });
}
