// A metric over a whole set, batch by batch: its parts of the program, and the accumulated numbers.
import type { Value } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
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
 */
export function metricParts(b: Builder, metric: Metric, batch: EvaluatedBatch, prefix: string): MetricParts {
  const outputs: Record<string, Value> = {};
  const sums = new Map<string, string | number>();
  const rows = new Map<string, string>();
  for (const [name, value] of Object.entries(metric.sums?.(b, batch) ?? {})) {
    const key = `${prefix}.${name}`;
    if (typeof value !== 'number') outputs[key] = value;
    sums.set(name, typeof value === 'number' ? value : key);
  }
  for (const [name, value] of Object.entries(metric.rows?.(b, batch) ?? {})) {
    const key = `${prefix}.rows.${name}`;
    outputs[key] = value;
    rows.set(name, key);
  }
  return { outputs, sums, rows };
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
