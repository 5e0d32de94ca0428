// The weights of moving averages over the steps of a run.
import { type Decay, decayAt } from '../curvature/factors/moving-average.js';
import type { StepContext } from './optimizer.js';

/**
 * Declare the scalars of moving averages. In a part of the step that runs at some steps only, ρ to the power of the steps since
 * it last ran is the weight of the past, so that averages forget as fast as in a part that runs at each step.
 * @param name the prefix of their names: `loss.keep`
 * @param maximum largest weight ρ of the past, for each step
 */
export function decayOf(
  { scalar, elapsed }: Pick<StepContext, 'scalar' | 'elapsed'>,
  name: string,
  maximum: number,
): Decay {
  const keep = (kept: number): number => decayAt(kept, elapsed ? maximum ** elapsed() : maximum);
  return {
    keep: scalar(`${name}.keep`, (_, kept) => keep(kept)),
    take: scalar(`${name}.take`, (_, kept) => 1 - keep(kept)),
  };
}
