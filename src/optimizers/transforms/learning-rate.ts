// Multiplication of the updates by the learning rate.
import { checked } from '../options.js';
import type { Schedule } from '../schedules.js';
import type { StepNumber, Transform } from './updates.js';

/**
 * Return the transform `u ← η·u`, which also reports the learning rate η.
 * @throws OptionError if the number is not greater than 0
 * @example
 * chain(scaleByAdam(), scaleByLearningRate(warmUp(100, 0.001)));
 */
export function scaleByLearningRate(learningRate: Schedule): Transform {
  const rate: StepNumber = { name: 'learningRate', at: checked('learningRate', learningRate, { above: 0 }) };
  return (context, updates) => {
    context.report('learningRate', updates.scalar(rate));
    return updates.times(rate);
  };
}
