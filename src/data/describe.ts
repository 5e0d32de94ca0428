// A description of a data set in a few lines: counts, shapes, value ranges, and how often each class occurs.

import { listInputs } from '../graph/inputs.js';
import { elementCount } from '../graph/tensor.js';
import { type Dataset, type ExampleArray, exampleCount, exampleStride } from './dataset.js';
import { type LoadOptions, loadData } from './spec.js';

/** Up to so many classes are listed one by one; of more, only the most and the least frequent. */
const mostClasses = 20;

/** Return lines of text about the data that a spec names. @throws what `loadData` throws */
export async function describeData(spec: string, options: LoadOptions = {}): Promise<string[]> {
  const { train, test } = await loadData(spec, options);
  return [`data     ${spec}`, ...describeDataset('train', train), ...describeDataset('test', test)];
}

/** Return lines of text about one data set. @param title 'train', 'test' or the like */
export function describeDataset(title: string, set: Dataset): string[] {
  const { picture } = set;
  const lines = [
    `${title.padEnd(8)} ${grouped(exampleCount(set))} examples${whereabouts(set)}`,
    ...describeInputs(set),
    `  targets  ${set.targets === set.inputs ? 'the inputs themselves (autoencoding)' : describeColumn(set.targets, set.size)}`,
  ];
  if (set.weights) lines.push(`  weights  ${describeColumn(set.weights, set.size)}`);
  if (picture)
    lines.push(
      `  picture  ${picture.width} × ${picture.height}, ${picture.channels === 1 ? 'grey' : `${picture.channels} channels`}`,
    );
  if (set.classes && set.targets.dtype === 'int64') lines.push(...describeClasses(set.classes, set.targets, set.size));
  return lines;
}

const whereabouts = ({ size, parts }: Dataset): string =>
  parts ? ` in ${grouped(parts.sizes.length)} parts; the rest is of ${grouped(size)} of them, drawn at random` : '';

function describeInputs({ inputs, size }: Dataset): string[] {
  const listed = listInputs(inputs);
  const width = Math.max(...listed.map(([name = '']) => name.length));
  return listed.map(([name, column], i) => {
    const named = name === undefined ? '' : `${name.padEnd(width)}  `;
    return `  ${(i === 0 ? 'inputs' : '').padEnd(8)} ${named}${describeColumn(column, size)}`;
  });
}

function describeColumn(column: ExampleArray, size: number): string {
  const shape = column.shape.length === 0 ? 'scalar' : `[${column.shape.join(', ')}]`;
  const scale = 'scale' in column ? column.scale : 1;
  const stored = 'scale' in column ? ' from bytes' : '';
  const used = column.data.subarray(
    0,
    size === 0 ? 0 : (size - 1) * exampleStride(column) + elementCount(column.shape),
  );
  let [least, most, sum, squares, broken] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0];
  for (const raw of used) {
    const value = raw * scale;
    if (!Number.isFinite(value)) {
      broken++;
      continue;
    }
    if (value < least) least = value;
    if (value > most) most = value;
    sum += value;
    squares += value * value;
  }
  const count = used.length - broken;
  if (count === 0) return `${column.dtype}${stored} ${shape}, no finite value`;
  const mean = sum / count;
  const deviation = Math.sqrt(Math.max(0, squares / count - mean * mean));
  const moments = column.dtype === 'float32' ? `, mean ${short(mean)}, deviation ${short(deviation)}` : '';
  const bad = broken > 0 ? `, ${grouped(broken)} NOT FINITE` : '';
  return `${column.dtype}${stored} ${shape}, ${short(least)} to ${short(most)}${moments}${bad}`;
}

function describeClasses(classes: readonly string[], targets: ExampleArray, size: number): string[] {
  const counts = new Array<number>(classes.length).fill(0);
  for (const label of targets.data.subarray(0, size * exampleStride(targets))) counts[label] = (counts[label] ?? 0) + 1;
  const named = classes.map((name, index) => ({ name: JSON.stringify(name), count: counts[index] ?? 0 }));
  const head = `  classes  ${grouped(classes.length)}`;
  if (named.length <= mostClasses) {
    const width = Math.max(...named.map(({ name }) => name.length));
    const most = Math.max(1, ...named.map(({ count }) => count));
    const bars = named.map(({ name, count }) => {
      const bar = '█'.repeat(Math.round((24 * count) / most));
      return `    ${name.padEnd(width)}  ${grouped(count).padStart(9)}  ${bar}`.trimEnd();
    });
    return [head, ...bars];
  }
  const ordered = [...named].sort((a, b) => b.count - a.count);
  const list = (part: typeof ordered): string => part.map(({ name, count }) => `${name} ${grouped(count)}`).join(', ');
  return [head, `    most frequent   ${list(ordered.slice(0, 6))}`, `    least frequent  ${list(ordered.slice(-6))}`];
}

function short(value: number): string {
  return Number.isInteger(value) ? grouped(value) : String(Number(value.toPrecision(4)));
}

function grouped(value: number): string {
  return value.toLocaleString('en-US');
}
