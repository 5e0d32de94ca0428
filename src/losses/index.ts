// The losses by their words on the command line and in options.
import { OptionError } from '../errors.js';
import { described, isRecord } from '../options.js';
import { didYouMean } from '../suggest.js';
import { binaryCrossEntropy } from './binary-cross-entropy.js';
import { crossEntropy } from './cross-entropy.js';
import { binaryFocal, focal } from './focal.js';
import { gaussian } from './gaussian.js';
import { hinge } from './hinge.js';
import { huber } from './huber.js';
import type { Loss } from './loss.js';
import { meanAbsoluteError } from './mean-absolute-error.js';
import { meanSquaredError } from './mean-squared-error.js';
import { poisson } from './poisson.js';

const losses = {
  'softmax-cross-entropy': crossEntropy(),
  'sigmoid-cross-entropy': binaryCrossEntropy(),
  'mean-squared-error': meanSquaredError(),
  'mean-absolute-error': meanAbsoluteError(),
  huber: huber(),
  poisson: poisson(),
  gaussian: gaussian(),
  focal: focal(),
  'binary-focal': binaryFocal(),
  hinge: hinge(),
} as const satisfies Readonly<Record<string, Loss>>;

/** The name of a loss with its default options. */
export type LossWord = keyof typeof losses;

/** The words of the losses. */
export const lossNames = Object.keys(losses) as readonly LossWord[];

const isWord = (name: string): name is LossWord => Object.hasOwn(losses, name);

/**
 * Return the loss of a name, or the given object after a check of its contract.
 * @throws OptionError that lists the known names, or says what the object lacks
 * @example
 * const loss = lossOf('mean-squared-error');
 * console.log(loss.metric.name);
 */
export function lossOf(given: Loss | string): Loss {
  const value: unknown = given;
  if (typeof value === 'string') {
    if (isWord(value)) return losses[value];
    throw new OptionError(
      `unknown loss '${value}'${didYouMean(value, lossNames)}; choose one of ${lossNames.join(', ')}`,
    );
  }
  if (!isRecord(value)) {
    const call =
      typeof value === 'function' && value.name !== ''
        ? `call it: ${value.name}()`
        : `give one as crossEntropy() makes it, or one of ${lossNames.join(', ')}`;
    throw new OptionError(`loss is ${described(value)}; ${call}`);
  }
  const missing = missingPart(value);
  if (missing === undefined) return given as Loss;
  throw new OptionError(`the loss ${typeof value.name === 'string' ? `'${value.name}'` : 'object'} lacks ${missing}`);
}

/** The first part of the contract that an object lacks, in words. */
function missingPart(loss: Readonly<Record<string, unknown>>): string | undefined {
  const isFunction = (holder: Readonly<Record<string, unknown>>, key: string) => typeof holder[key] === 'function';
  if (typeof loss.name !== 'string' || loss.name === '') return 'a name: a text';
  if (loss.targets !== 'labels' && loss.targets !== 'values') return "targets: 'labels' of classes or 'values'";
  if (!isFunction(loss, 'targetType')) return 'targetType(output): element type and shape of its targets';
  if (!isFunction(loss, 'value')) return 'value(b, output, targets, weights): the mean loss, a scalar';
  if (loss.step !== 'normalized' && loss.step !== 'self-tuning') return "step: 'normalized' or 'self-tuning'";
  const { metric, likelihood } = loss;
  if (!isRecord(metric) || typeof metric.name !== 'string' || !isFunction(metric, 'value')) {
    return 'a metric for evaluations, such as accuracy() or squaredError()';
  }
  for (const optional of ['contained', 'expected', 'mass', 'inUnits'] as const) {
    if (loss[optional] !== undefined && !isFunction(loss, optional)) return `${optional} as a function`;
  }
  if (likelihood === undefined) return undefined;
  if (!isRecord(likelihood)) return 'a likelihood as an object: leave it out if the loss has none';
  const functions = ['scale', 'cases', 'sampledCotangent', 'cotangent', 'hessianProduct', 'hessianRoot'];
  const absent = functions.find((key) => !isFunction(likelihood, key));
  if (absent !== undefined) return `likelihood.${absent}, a function: leave the likelihood out if the loss has none`;
  return isRecord(likelihood.noise) ? undefined : 'likelihood.noise: { distribution, shape }';
}
