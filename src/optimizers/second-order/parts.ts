// Checks of the parts among the options of a second-order optimizer, and of options that belong to a part.
import { OptionError } from '../../errors.js';
import { isRecord } from '../../options.js';
import { checkedObject } from '../options.js';
import type { AcrossLayers } from './across-layers.js';
import type { Damping } from './damping.js';
import type { Factors } from './factors.js';
import type { Preconditioner } from './second-order.js';

/**
 * Return the given parts of a preconditioner.
 * @throws OptionError for anything but such parts, and for a part that has no effect beside the other
 */
export function checkedParts(options: {
  readonly damping?: Damping | undefined;
  readonly factors?: Factors | undefined;
  readonly acrossLayers?: AcrossLayers | undefined;
}): Partial<Preconditioner> {
  const damping = checkedObject('damping', options.damping, 'precondition', [
    'factored',
    'eigenvalues',
    'eigenCorrected',
    'tikhonov',
    'primal',
    'inverseFree',
  ]);
  const factors = checkedObject('factors', options.factors, 'begin', ['sketches', 'dense']);
  const acrossLayers = checkedObject('acrossLayers', options.acrossLayers, 'correct', ['twoLevel']);
  if (damping?.usesRows && factors) {
    throw new OptionError(`factors have no effect: ${damping.name}() damping solves with the rows of this batch alone`);
  }
  if (damping && !damping.invertsFactors && factors?.inverseInterval !== undefined) {
    throw new OptionError(`inverseInterval has no effect: ${damping.name}() damping keeps no inverses`);
  }
  if (damping?.needsWhole && factors && !factors.areWhole) {
    throw new OptionError(
      `factors are ${factors.name}(); ${damping.name}() damping needs the factors themselves: give dense(), or leave them out`,
    );
  }
  if (damping?.optionOfRows !== undefined && factors?.areWhole) {
    throw new OptionError(`${damping.optionOfRows} has no effect: ${factors.name}() factors are not held as rows`);
  }
  return { ...(damping && { damping }), ...(factors && { factors }), ...(acrossLayers && { acrossLayers }) };
}

/** Options of a part of an optimizer, with where they belong. */
const nested: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['learningRate', 'momentum', 'weightDecay', 'klClip'].map((key) => [key, `step: scheduled({ ${key} })`]),
  ),
  ...Object.fromEntries(
    ['dampingInterval', 'dampingDecay', 'minimumDamping', 'calibrationSteps', 'priorPrecision'].map((key) => [
      key,
      `step: selfTuning({ ${key} })`,
    ]),
  ),
  ...Object.fromEntries(['rank', 'decay'].map((key) => [key, `factors: sketches({ ${key} })`])),
  ...Object.fromEntries(
    ['maxIterations', 'stopping', 'warmStart'].map((key) => [key, `damping: tikhonov({ ${key} })`]),
  ),
  tolerance: 'damping: tikhonov({ stopping: byResidual({ tolerance }) })',
  shrinkage: 'damping: tikhonov({ shrinkage })',
  power: 'damping: eigenvalues({ power })',
  pi: 'damping: factored({ pi })',
  inverseInterval: 'factors: dense({ inverseInterval })',
  samples: 'fisher: sampled({ samples })',
  ...Object.fromEntries(['basis', 'correction'].map((key) => [key, `acrossLayers: twoLevel({ ${key} })`])),
};

/**
 * @param own options of the optimizer itself
 * @throws OptionError for an option of a part, and for a strength of damping; the message says where it belongs
 */
export function refuseNested(name: string, options: object, own: object = {}): void {
  const given: unknown = options;
  if (!isRecord(given)) return;
  for (const key of Object.keys(given)) {
    const camel = key.replace(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (given[key] === undefined || Object.hasOwn(own, key) || !Object.hasOwn(nested, camel)) continue;
    throw new OptionError(`${key} is no option of ${name}; write ${name}({ ${nested[camel]} })`);
  }
  const { damping } = given;
  if (typeof damping !== 'number') return;
  throw new OptionError(
    `damping is ${damping}; its strength is a number of the step: ${name}({ step: selfTuning({ damping: ${damping} }) })`,
  );
}
