// Moving averages over the steps of a run: the scalars that they take at each step.
import { type Decay, decayAt } from '../curvature/factors/moving-average.js';
import type { StepContext } from './optimizer.js';

/**
 * Declare the scalars of averages whose largest weight of the past is ρ.
 * @param name begins their names: `loss.keep`
 */
export function decayOf({ scalar }: Pick<StepContext, 'scalar'>, name: string, maximum: number): Decay {
  return {
    keep: scalar(`${name}.keep`, (_, kept) => decayAt(kept, maximum)),
    take: scalar(`${name}.take`, (_, kept) => 1 - decayAt(kept, maximum)),
  };
}
