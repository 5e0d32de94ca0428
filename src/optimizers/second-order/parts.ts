// Checks of the parts among the options of a second-order optimizer, and of options that belong to a part.
import { OptionError } from '../../errors.js';
import { isRecord } from '../../options.js';
import { checkedObject } from '../options.js';
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
}): Partial<Preconditioner> {
  const damping = checkedObject('damping', options.damping, 'precondition', ['factored', 'tikhonov', 'primal']);
  const factors = checkedObject('factors', options.factors, 'begin', ['sketches', 'dense']);
  if (damping?.usesRows && factors) {
    throw new OptionError(`factors have no effect: ${damping.name}() damping solves with the rows of this batch alone`);
  }
  if (damping && !damping.invertsFactors && factors?.inverseInterval !== undefined) {
    throw new OptionError(`inverseInterval has no effect: ${damping.name}() damping keeps no inverses`);
  }
  if (damping?.optionOfRows !== undefined && factors?.areWhole) {
    throw new OptionError(`${damping.optionOfRows} has no effect: ${factors.name}() factors are not held as rows`);
  }
  return { ...(damping && { damping }), ...(factors && { factors }) };
}

/** Options of a part of an optimizer, with where they belong. */
const nested: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['learningRate', 'momentum', 'weightDecay', 'klClip'].map((key) => [key, `step: scheduled({ ${key} })`]),
  ),
  ...Object.fromEntries(
    ['dampingInterval', 'dampingDecay', 'minimumDamping', 'priorPrecision'].map((key) => [
      key,
      `step: selfTuning({ ${key} })`,
    ]),
  ),
  ...Object.fromEntries(['rank', 'decay'].map((key) => [key, `factors: sketches({ ${key} })`])),
  ...Object.fromEntries(
    ['maxIterations', 'stopping', 'warmStart'].map((key) => [key, `damping: tikhonov({ ${key} })`]),
  ),
  tolerance: 'damping: tikhonov({ stopping: byResidual({ tolerance }) })',
  inverseInterval: 'factors: dense({ inverseInterval })',
  samples: 'fisher: sampled({ samples })',
};

/** @throws OptionError for an option of a part, and for a strength of damping; the message says where it belongs */
export function refuseNested(name: string, options: object): void {
  const given: unknown = options;
  if (!isRecord(given)) return;
  for (const key of Object.keys(given)) {
    const camel = key.replace(/[-_]([a-z])/g, (_, letter: string) => letter.toUpperCase());
    if (given[key] === undefined || !Object.hasOwn(nested, camel)) continue;
    throw new OptionError(`${key} is no option of ${name}; write ${name}({ ${nested[camel]} })`);
  }
  const { damping } = given;
  if (typeof damping !== 'number') return;
  throw new OptionError(
    `damping is ${damping}; its strength is a number of the step: ${name}({ step: selfTuning({ damping: ${damping} }) })`,
  );
}
