// Optimizers as chains of transforms, from the gradients to the updates that are subtracted from the parameters.
import { OptionError } from '../errors.js';
import { described } from '../options.js';
import type { Optimizer, StepContext } from './optimizer.js';
import { type Transform, Updates } from './transforms/updates.js';

/** An optimizer made of transforms, which can be a part of another chain. */
export interface Chain extends Optimizer {
  readonly transforms: readonly Transform[];
}

/** Transforms and chains, and at the end possibly an optimizer that is none. */
type Parts = readonly (Transform | Chain)[];
type PartsBefore = readonly [...(Transform | Chain)[], Transform | Optimizer];

/**
 * Return the optimizer that passes the gradients through transforms, one after the other, and subtracts the result from the
 * parameters. Scalars such as learning rates wait until the end of the chain and join one product. An optimizer that is no
 * chain, such as `cgfac()`, may be the last part: it gets what the transforms make as its gradients.
 * @param parts transforms, and optimizers that are chains themselves
 * @throws OptionError if a part is neither
 * @example
 * const clipped = chain(clipByGlobalNorm(1), adamw({ learningRate: 0.001 }));
 * const own = chain(scaleByAdam(), addDecayedWeights(0.1), scaleByLearningRate(cosine(0.001, 5000)));
 * const secondOrder = chain(clipByGlobalNorm(1), cgfac());
 */
export function chain(...parts: Parts): Chain;
export function chain(...parts: PartsBefore): Optimizer;
export function chain(...parts: Parts | PartsBefore): Optimizer {
  return made('chain', parts);
}

/**
 * Return `chain(…)` with a name, which reports show.
 * @throws OptionError if a part is neither a transform nor a chain
 * @example
 * const signs = namedChain('sign-descent', scaleBySign(), scaleByLearningRate(0.001));
 */
export function namedChain(name: string, ...parts: Parts): Chain;
export function namedChain(name: string, ...parts: PartsBefore): Optimizer;
export function namedChain(name: string, ...parts: Parts | PartsBefore): Optimizer {
  return made(name, parts);
}

function made(name: string, parts: readonly (Transform | Chain | Optimizer)[]): Optimizer {
  const last = parts.at(-1);
  const isWhole = typeof last === 'object' && !isChain(last) && typeof last?.build === 'function';
  const transforms = (isWhole ? parts.slice(0, -1) : parts).flatMap((part): readonly Transform[] => {
    if (typeof part === 'function') return [part];
    if (isChain(part)) return part.transforms;
    throw new OptionError(
      `a part of a chain is ${described(part)}; give transforms such as clipByGlobalNorm(1), or optimizers that are chains` +
        `${typeof (part as Optimizer | undefined)?.build === 'function' ? '; another optimizer can only be the last part' : ''}`,
    );
  });
  return isWhole ? before(name, transforms, last) : chainOf(name, transforms);
}

const isChain = (part: Transform | Optimizer): part is Chain =>
  typeof part === 'object' && part !== null && 'transforms' in part && Array.isArray(part.transforms);

const through = (transforms: readonly Transform[], context: StepContext): Updates =>
  transforms.reduce((given, transform) => transformed(transform, context, given), Updates.ofGradients(context));

/** The optimizer on what the transforms make of the gradients. */
function before(name: string, transforms: readonly Transform[], optimizer: Optimizer): Optimizer {
  return {
    ...optimizer,
    name,
    build: (context) =>
      optimizer.build({
        ...context,
        gradients: through(transforms, context).values(),
        lossGradients: context.lossGradients ?? context.gradients,
      }),
  };
}

function chainOf(name: string, transforms: readonly Transform[]): Chain {
  return {
    name,
    transforms,
    build(context) {
      const updates = through(transforms, context);
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
