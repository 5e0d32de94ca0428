// A metric over a whole set, batch by batch: its parts of the program, and the accumulated numbers.
import { OptionError } from '../errors.js';
import { formatType, Value } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { described, isRecord } from '../options.js';
import type { EvaluatedBatch, Metric, Numbers } from './metric.js';

/** The parts of a metric that a program computes. */
export interface MetricParts {
  /** Outputs of the program. */
  readonly outputs: Readonly<Record<string, Value>>;
  /** The sums by name: the name of the output, or the number itself. */
  readonly sums: ReadonlyMap<string, string | number>;
  /** The names of the outputs with the rows, by name. */
  readonly rows: ReadonlyMap<string, string>;
}

/**
 * Add the parts of a metric to a program.
 * @param prefix of the names of outputs
 * @param isChecked whether it computes what the metric refuses targets by
 */
export function metricParts(
  b: Builder,
  metric: Metric,
  batch: EvaluatedBatch,
  prefix: string,
  isChecked: boolean,
): MetricParts {
  const outputs: Record<string, Value> = {};
  const sums = new Map<string, string | number>();
  const rows = new Map<string, string>();
  const all = {
    ...made(metric, 'sums', metric.sums?.(b, batch)),
    ...(isChecked && made(metric, 'checks', metric.checks?.(b, batch))),
  };
  for (const [name, value] of Object.entries(all)) {
    const key = `${prefix}.${name}`;
    if (typeof value !== 'number') outputs[key] = value;
    sums.set(name, typeof value === 'number' ? value : key);
  }
  for (const [name, value] of Object.entries(made(metric, 'rows', metric.rows?.(b, batch)))) {
    const key = `${prefix}.rows.${name}`;
    if (typeof value === 'number' || value.rank === 0) {
      const what = typeof value === 'number' ? 'a number' : formatType(value.type);
      throw wrong(metric, 'rows', `${what} as '${name}'`, 'tensors whose first axis is that of the rows');
    }
    outputs[key] = value;
    rows.set(name, key);
  }
  return { outputs, sums, rows };
}

const wrong = ({ name }: Metric, member: string, returned: string, wanted: string): OptionError =>
  new OptionError(`${member} of the metric '${name}' returned ${returned}; it must return ${wanted}`);

/** What a member made of a batch: values and numbers by name; nothing if there is no such member. */
function made(
  metric: Metric,
  member: 'sums' | 'checks' | 'rows',
  returned: unknown,
): Readonly<Record<string, Value | number>> {
  if (returned === undefined && metric[member] === undefined) return {};
  const wanted = `an object of named values: { sum: b.sum(x), count: 1 }`;
  if (!isRecord(returned) || returned instanceof Value || returned instanceof Promise || Array.isArray(returned)) {
    throw wrong(metric, member, described(returned), wanted);
  }
  const parts: Record<string, Value | number> = {};
  for (const [name, value] of Object.entries(returned)) {
    if (typeof value !== 'number' && !(value instanceof Value)) {
      throw wrong(metric, member, `${described(value)} as '${name}'`, wanted);
    }
    parts[name] = value;
  }
  return parts;
}

/**
 * Return the figure of a metric.
 * @throws OptionError if it is no number
 */
export function figureOf(metric: Metric, numbers: Numbers): number {
  const figure: unknown = metric.value(numbers);
  if (typeof figure === 'number') return figure;
  throw wrong(metric, 'value', described(figure), 'a number');
}

/**
 * Return the table of a metric, undefined if it has none.
 * @throws OptionError if it is no list of rows of numbers
 */
export function tableOf(metric: Metric, numbers: Numbers): readonly (readonly number[])[] | undefined {
  if (!metric.table) return undefined;
  const table: unknown = metric.table(numbers);
  const isRow = (row: unknown): boolean => Array.isArray(row) && row.every((x) => typeof x === 'number');
  if (Array.isArray(table) && table.every(isRow)) return table;
  throw wrong(metric, 'table', described(table), 'rows of numbers: [[1, 2], [3, 4]]');
}

/**
 * Refuse sums of which a batch of another size has another shape: they would be added up as far as they go.
 * @throws OptionError naming the metric and the sum
 */
export function checkSums(metric: Metric, one: MetricParts, other: MetricParts): void {
  for (const [name, key] of one.sums) {
    const [x, y] = [key, other.sums.get(name)].map((part) => (typeof part === 'string' ? part : ''));
    const [first, second] = [one.outputs[x ?? '']?.type, other.outputs[y ?? '']?.type];
    if (first && second && formatType(first) !== formatType(second)) {
      const found = `${formatType(first)} and ${formatType(second)} as '${name}', for batches of two sizes`;
      throw wrong(
        metric,
        'sums',
        found,
        'sums of one shape for all batches (what is there for each example belongs to rows)',
      );
    }
  }
}

/** Adds up the sums of batches and concatenates their rows. */
export class Accumulation {
  readonly #sums = new Map<string, Float64Array>();
  readonly #rows = new Map<string, Float64Array[]>();

  /** @param results the outputs of a program that has the parts */
  add({ sums, rows }: MetricParts, results: Readonly<Record<string, TensorData>>): void {
    for (const [name, source] of sums) {
      const elements = typeof source === 'number' ? Float64Array.of(source) : numbersOf(results, source);
      const total = this.#sums.get(name);
      if (!total) this.#sums.set(name, elements);
      else for (const [i, element] of elements.entries()) total[i] = (total[i] ?? 0) + element;
    }
    for (const [name, key] of rows) {
      const parts = this.#rows.get(name) ?? [];
      parts.push(numbersOf(results, key));
      this.#rows.set(name, parts);
    }
  }

  get numbers(): Numbers {
    return {
      ...Object.fromEntries(this.#sums),
      ...Object.fromEntries([...this.#rows].map(([name, parts]) => [name, concatenated(parts)])),
    };
  }
}

/** The elements of an output of the program, which has all outputs of the parts. */
function numbersOf(results: Readonly<Record<string, TensorData>>, key: string): Float64Array {
  const tensor = results[key];
  if (!tensor) throw new Error(`the program has no output '${key}'`);
  return Float64Array.from<number | bigint>(tensor.data, Number);
}

function concatenated(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((length, part) => length + part.length, 0));
  let start = 0;
  for (const part of parts) {
    all.set(part, start);
    start += part.length;
  }
  return all;
}
