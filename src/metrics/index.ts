// The metrics by their words on the command line and in options.
import { OptionError } from '../errors.js';
import { described, isRecord } from '../options.js';
import { didYouMean } from '../suggest.js';
import { accuracy } from './accuracy.js';
import { calibrationError } from './calibration-error.js';
import { confusionMatrix } from './confusion-matrix.js';
import { logLoss, perplexity } from './log-loss.js';
import { mae } from './mae.js';
import type { Metric } from './metric.js';
import { mse, rmse } from './mse.js';
import { balancedAccuracy, f1, precision, recall } from './precision-recall.js';
import { r2 } from './r2.js';
import { averagePrecision, rocAuc } from './ranking.js';
import { squaredError } from './squared-error.js';
import { topK } from './top-k.js';

const metrics = {
  accuracy: accuracy(),
  'top-5': topK(5),
  'balanced-accuracy': balancedAccuracy(),
  precision: precision(),
  recall: recall(),
  f1: f1(),
  'f1-micro': f1({ average: 'micro' }),
  'f1-macro': f1({ average: 'macro' }),
  'f1-weighted': f1({ average: 'weighted' }),
  'confusion-matrix': confusionMatrix(),
  'roc-auc': rocAuc(),
  'average-precision': averagePrecision(),
  'log-loss': logLoss(),
  perplexity: perplexity(),
  'calibration-error': calibrationError(),
  'squared-error': squaredError(),
  mse: mse(),
  rmse: rmse(),
  mae: mae(),
  r2: r2(),
} as const satisfies Readonly<Record<string, Metric>>;

/** The name of a metric with its default options; `top-k` for any k. */
export type MetricWord = keyof typeof metrics | `top-${number}`;

/** The words of the metrics; `top-k` of any k is one, too. */
export const metricNames = Object.keys(metrics) as readonly (keyof typeof metrics)[];

const isWord = (name: string): name is keyof typeof metrics => Object.hasOwn(metrics, name);

/** `top-3`, of any number. */
const topWord = /^top-([1-9]\d{0,5})$/;

/**
 * Return the metrics of names, and given objects after a check of their contract.
 * @throws OptionError that lists the known names, or says what an object lacks or which two have the same name
 */
export function metricsOf(given: readonly (Metric | string)[]): readonly Metric[] {
  const list: unknown = given;
  if (!Array.isArray(list) || list.length === 0) {
    throw new OptionError(`metrics are ${described(list)}; give an array of at least one, such as [accuracy()]`);
  }
  const found = given.map(metricOf);
  const names = found.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return found;
  throw new OptionError(`two metrics have the name '${twice}'; give each one of its own`);
}

function metricOf(given: Metric | string): Metric {
  const value: unknown = given;
  if (typeof value === 'string') {
    if (isWord(value)) return metrics[value];
    const top = topWord.exec(value)?.[1];
    if (top !== undefined) return topK(Number(top));
    throw new OptionError(
      `unknown metric '${value}'${didYouMean(value, metricNames)}; choose one of ${metricNames.join(', ')}`,
    );
  }
  if (!isRecord(value)) {
    const call =
      typeof value === 'function' && value.name !== '' ? `call it: ${value.name}()` : 'give one, such as accuracy()';
    throw new OptionError(`metric is ${described(value)}; ${call}`);
  }
  const { name, lowerIsBetter, sums, rows } = value;
  const lacks = (part: string) =>
    new OptionError(`the metric ${typeof name === 'string' ? `'${name}'` : 'object'} lacks ${part}`);
  if (typeof name !== 'string' || !/^[a-z][A-Za-z0-9]*$/.test(name) || name === 'loss')
    throw lacks("a name in camel case, which is not 'loss'");
  if (typeof lowerIsBetter !== 'boolean') throw lacks('lowerIsBetter, true or false');
  if (typeof value.value !== 'function') throw lacks('value(numbers): its figure');
  if (typeof sums !== 'function' && typeof rows !== 'function') {
    throw lacks('sums(b, batch) or rows(b, batch): what it is computed from');
  }
  return given as Metric;
}
