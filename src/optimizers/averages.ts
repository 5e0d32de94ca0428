// The weights of moving averages over the steps of a run.
import { type Decay, decayAt } from '../curvature/factors/moving-average.js';
import type { StepContext } from './optimizer.js';

/**
 * Declare the scalars of moving averages.
 * @param name the prefix of their names: `loss.keep`
 * @param maximum largest weight ρ of the past
 */
export function decayOf({ scalar }: Pick<StepContext, 'scalar'>, name: string, maximum: number): Decay {
  return {
    keep: scalar(`${name}.keep`, (_, kept) => decayAt(kept, maximum)),
    take: scalar(`${name}.take`, (_, kept) => 1 - decayAt(kept, maximum)),
  };
}
