// Numbers that independent programs computed (PyTorch 1.13, scikit-learn 1.2.1), for tests against them.
import { readFileSync } from 'node:fs';

export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

export interface LossCase {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, ReferenceTensor>>;
  readonly loss: number;
  /** By the input's name. */
  readonly gradients: Readonly<Record<string, readonly number[]>>;
}

const read = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../fixtures/${path}.json`, import.meta.url), 'utf8'));

/** A case of a loss, by the names of the file and of the case. */
export function lossCase(file: string, name: string, options: Readonly<Record<string, unknown>> = {}): LossCase {
  const { cases } = read(`losses/${file}`) as { readonly cases: readonly LossCase[] };
  const found = cases.find(
    (one) => one.name === name && Object.entries(options).every(([key, value]) => one.options[key] === value),
  );
  if (!found) throw new Error(`${file} has no case '${name}'`);
  return found;
}

/** The data and scores of a file of metrics. */
export const metricReference = <Data>(file: string): Data => read(`metrics/${file}`) as Data;
