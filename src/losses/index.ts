// The losses by name.
import { OptionError } from '../errors.js';
import { described } from '../options.js';
import { didYouMean } from '../suggest.js';
import { meanSquaredError, sigmoidCrossEntropy } from './elementwise.js';
import type { Loss, LossName } from './loss.js';
import { softmaxCrossEntropy } from './softmax-cross-entropy.js';

const losses: Readonly<Record<LossName, Loss>> = {
  'softmax-cross-entropy': softmaxCrossEntropy,
  'sigmoid-cross-entropy': sigmoidCrossEntropy,
  'mean-squared-error': meanSquaredError,
};

export const lossNames = Object.keys(losses) as readonly LossName[];

/** @throws OptionError listing the names that exist */
export function lossNamed(name: string): Loss {
  const loss = Object.hasOwn(losses, name) ? losses[name as LossName] : undefined;
  if (!loss)
    throw new OptionError(
      `unknown loss ${typeof name === 'string' ? `'${name}'${didYouMean(name, lossNames)}` : described(name)}; choose one of ${lossNames.join(', ')}`,
    );
  return loss;
}
