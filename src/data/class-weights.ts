// Weights of examples by their class, for classes of unequal size.
import { OptionError } from '../errors.js';
import { checkedNumber, described, isRecord } from '../options.js';
import { didYouMean } from '../suggest.js';
import { type Dataset, dataset, exampleStride } from './dataset.js';
import { withParts } from './views.js';

/**
 * Weights of classes: 'balanced' gives each class the same total weight, n / (classes · n_class), so that the mean weight is 1; or
 * a weight for each class by its name or its number, 1 for those left out.
 */
export type ClassWeights = 'balanced' | Readonly<Record<string, number>>;

/**
 * Return the set with examples that count by their class, times the weights that the set has already. For the training part only:
 * the figures of a test part then remain those of its own mix of classes.
 * @throws OptionError if the targets are no labels, one for each example, and for a class that the set does not have
 * @example
 * const { train, test } = await loadData('digits');
 * const data = { train: withClassWeights(train, 'balanced'), test };
 */
export function withClassWeights(set: Dataset, weights: ClassWeights): Dataset {
  const labels = labelsOf(dataset(set), 'weighted by class');
  const weightOf = weights === 'balanced' ? balanced(labels) : chosen(set, labels, weights);
  return withParts(set, (each) => {
    const own = each.weights;
    const stride = own ? exampleStride(own) : 0;
    const data = Float32Array.from(
      labelsOf(each, 'weighted by class'),
      (label, i) => (weightOf.get(label) ?? 1) * (own ? Number(own.data[i * stride]) : 1),
    );
    return dataset({ ...each, weights: { dtype: 'float32', shape: [], data } });
  });
}

function balanced(labels: Int32Array): Map<number, number> {
  const counts = countOf(labels);
  return new Map([...counts].map(([label, count]) => [label, labels.length / (counts.size * count)]));
}

function chosen(set: Dataset, labels: Int32Array, weights: Exclude<ClassWeights, 'balanced'>): Map<number, number> {
  const given: unknown = weights;
  if (!isRecord(given)) {
    throw new OptionError(`class weights are ${described(given)}; give 'balanced', or { name: weight, … }`);
  }
  const { name, classes } = set;
  const counts = countOf(labels);
  const names = classes ?? [...counts.keys()].sort((x, y) => x - y).map(String);
  const found = new Map<number, number>();
  for (const [key, weight] of Object.entries(weights)) {
    const label = classes ? labelNamed(classes, key) : Number(key);
    if (!counts.has(label)) {
      throw new OptionError(
        classes?.[label] === undefined
          ? `'${name}' has no class '${key}'${didYouMean(key, names)}: it has ${listed(names)}`
          : `class '${key}' of '${name}' has no example, so that a weight of it has no effect; leave it out`,
      );
    }
    if (found.has(label)) throw new OptionError(`the weight of class '${key}' is given twice; give it once`);
    found.set(label, checkedNumber(`weight of class '${key}'`, weight, { atLeast: 0 }));
  }
  return found;
}

/** Return the label of a class's name, or else of its number. */
function labelNamed(classes: readonly string[], key: string): number {
  const at = classes.indexOf(key);
  return at >= 0 || !/^\d+$/.test(key) ? at : Number(key);
}

/** Most names in a message. */
const mostListed = 12;
const listed = (names: readonly string[]): string =>
  names.length <= mostListed ? names.join(', ') : `${names.slice(0, mostListed).join(', ')}, …`;

function countOf(labels: Int32Array): Map<number, number> {
  const counts = new Map<number, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

/**
 * Return the label of each example.
 * @param done what cannot be done without, for messages
 * @throws OptionError if the targets are no labels, one for each example
 */
export function labelsOf({ name, size, targets }: Dataset, done: string): Int32Array {
  if (targets.dtype !== 'int64' || targets.shape.length > 0) {
    const what =
      targets.dtype === 'int64' ? `sequences of whole numbers of shape [${targets.shape}]` : 'numbers, not classes';
    throw new OptionError(`'${name}' cannot be ${done}: its targets are ${what}; give one label for each example`);
  }
  const stride = exampleStride(targets);
  if (stride === 1) return targets.data.subarray(0, size);
  return Int32Array.from({ length: size }, (_, i) => targets.data[i * stride] as number);
}
