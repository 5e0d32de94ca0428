// Names of runs, unique in a comparison, and short labels for charts that still distinguish runs of one optimizer.

import type { Experiment, RunRecord } from '../training/run-record.js';

/** Return the optimizer in a run's name: `adam` of `adam:learning-rate=0.003`. */
export const optimizerOf = (name: string): string => name.split(':')[0] ?? name;

/** Return the experiment with a number behind each name that occurs again: `adam`, `adam (2)`. */
export function withDistinctNames(experiment: Experiment): Experiment {
  const taken = new Set<string>();
  const runs = experiment.runs.map((run): RunRecord => {
    let name = run.name;
    for (let count = 2; taken.has(name); count += 1) name = `${run.name} (${count})`;
    taken.add(name);
    return name === run.name ? run : { ...run, name };
  });
  return { ...experiment, runs };
}

/**
 * Return a label of at most `length` letters for each name, no two alike. The label of a long name with options, such as
 * `adam:learning-rate=0.003`, has those that distinguish it from the others: `adam 0.003`.
 */
export function shortLabels(names: readonly string[], length: number): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  const taken = new Set<string>();
  for (const name of names) {
    const candidates = [name, distinguishing(name, names)];
    const short =
      candidates.find((label) => label.length <= length && !taken.has(label)) ?? numbered(name, length, taken);
    labels.set(name, short);
    taken.add(short);
  }
  return labels;
}

/** The optimizer and the values of those options that not all of its runs share. */
function distinguishing(name: string, names: readonly string[]): string {
  const optimizer = optimizerOf(name);
  const relatives = names.filter((other) => optimizerOf(other) === optimizer && other !== name);
  const own = name.split(':').slice(1);
  const different = own.filter((option) => !relatives.every((other) => other.split(':').includes(option)));
  const shown = different.length > 0 ? different : own;
  return [optimizer, ...shown.map((option) => option.slice(option.indexOf('=') + 1))].join(' ');
}

/** The start of the name, or the start and a number if another label is equal. */
function numbered(name: string, length: number, taken: ReadonlySet<string>): string {
  if (name.length <= length && !taken.has(name)) return name;
  let label = `${name.slice(0, length - 1)}…`;
  for (let count = 2; taken.has(label); count += 1) label = `${name.slice(0, length - 1 - `${count}`.length)}…${count}`;
  return label;
}
