// Optimizers as chains of transforms, from the gradients to the updates that are subtracted from the parameters.
import { OptionError } from '../errors.js';
import { described } from '../options.js';
import type { Optimizer, StepContext } from './optimizer.js';
import { type Transform, Updates } from './transforms/updates.js';

/** An optimizer made of transforms, which can be a part of another chain. */
export interface Chain extends Optimizer {
  readonly transforms: readonly Transform[];
}

/**
 * Return the optimizer that passes the gradients through transforms, one after the other, and subtracts the result from the
 * parameters. Scalars such as learning rates wait until the end of the chain and join one product.
 * @param parts transforms, and optimizers that are chains themselves
 * @throws OptionError if a part is neither
 * @example
 * const clipped = chain(clipByGlobalNorm(1), adamw({ learningRate: 0.001 }));
 * const own = chain(scaleByAdam(), addDecayedWeights(0.1), scaleByLearningRate(cosine(0.001, 5000)));
 */
export const chain = (...parts: readonly (Transform | Chain)[]): Chain => namedChain('chain', ...parts);

/**
 * Return `chain(…)` with a name, which reports show.
 * @throws OptionError if a part is neither a transform nor a chain
 * @example
 * const signs = namedChain('sign-descent', scaleBySign(), scaleByLearningRate(0.001));
 */
export function namedChain(name: string, ...parts: readonly (Transform | Chain)[]): Chain {
  const transforms = parts.flatMap((part): readonly Transform[] => {
    if (typeof part === 'function') return [part];
    if (Array.isArray(part?.transforms)) return part.transforms;
    throw new OptionError(
      `a part of a chain is ${described(part)}; give transforms such as clipByGlobalNorm(1), or optimizers that are chains`,
    );
  });
  return {
    name,
    transforms,
    build(context) {
      const gradients = Updates.ofGradients(context);
      const updates = transforms.reduce((given, transform) => transformed(transform, context, given), gradients);
      const evaluated = updates.evaluated();
      return { parameters: updates.applied(), ...(evaluated.size > 0 && { evaluated }) };
    },
    remedy: () => 'Lower the learning rate',
  };
}

/** What a transform makes of updates. @throws OptionError naming one that makes none, as a function does that makes transforms */
function transformed(transform: Transform, context: StepContext, updates: Updates): Updates {
  // Makers take options, or nothing; transforms take a context and updates.
  const isMaker = transform.length < 2;
  const call = `call it: ${transform.name || 'transform'}()`;
  try {
    const made: unknown = transform(context, updates);
    if (made instanceof Updates) return made;
    const advice = typeof made === 'function' ? call : 'a transform returns updates';
    throw new OptionError(`a part of a chain, ${described(transform)}, returned ${described(made)}; ${advice}`);
  } catch (error) {
    if (!isMaker || !(error instanceof OptionError) || transform.name === '') throw error;
    throw new OptionError(
      `a part of a chain is ${described(transform)}; ${call}, unless it is a transform of yours: ${error.message}`,
      { cause: error },
    );
  }
}
