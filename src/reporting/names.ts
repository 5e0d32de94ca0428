// Names of runs and of data: unique in a comparison, and short ones that still distinguish runs of one optimizer.

import type { Experiment, RunRecord } from '../training/run-record.js';

/** `adam:learning-rate=0.003 (2)` in its parts: the optimizer, its options, and what was added to make the name unique. */
interface NameParts {
  readonly optimizer: string;
  readonly options: readonly string[];
  readonly suffix: string;
}

function partsOf(name: string): NameParts {
  const [, base = name, suffix = ''] = /^(.+?)( \([^()]+\))?$/.exec(name) ?? [];
  const [optimizer = base, ...options] = base.split(':');
  return { optimizer, options, suffix };
}

/** Return the optimizer in a run's name: `adam` of `adam:learning-rate=0.003`. */
export const optimizerOf = (name: string): string => partsOf(name).optimizer;

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

/** Return the experiment with its runs under other names. */
export const renamed = (experiment: Experiment, names: ReadonlyMap<string, string>): Experiment => ({
  ...experiment,
  runs: experiment.runs.map((run) => ({ ...run, name: names.get(run.name) ?? run.name })),
});

/**
 * Return the shortest name of each run that tells it from the others, no two alike: of the options those that differ among the
 * runs of an optimizer, and only their values if just one does. `adam:learning-rate=0.003` and `adam:learning-rate=0.1` are
 * `adam 0.003` and `adam 0.1`; a single `cgfac:rank=64` is `cgfac`.
 */
export function shortNames(names: readonly string[]): ReadonlyMap<string, string> {
  return distinct(names, (name) => [distinguished(name, names, 'options'), name]);
}

/** Return such a name of at most `length` letters for each; one that is too long loses its keys, then its end. */
export function shortLabels(names: readonly string[], length: number): ReadonlyMap<string, string> {
  return distinct(
    names,
    (name) => [distinguished(name, names, 'options'), distinguished(name, names, 'values')],
    length,
  );
}

/** The first of the candidates for each name that nobody has and that is not too long, else its start with a number. */
function distinct(
  names: readonly string[],
  candidates: (name: string) => readonly string[],
  length = Number.POSITIVE_INFINITY,
): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  const taken = new Set<string>();
  for (const name of names) {
    const free = candidates(name).find((label) => label.length <= length && !taken.has(label));
    const label = free ?? numbered(name, length, taken);
    labels.set(name, label);
    taken.add(label);
  }
  return labels;
}

const keyOf = (option: string): string => option.split('=', 1)[0] ?? option;

/** The optimizer and those options in which its runs differ. */
function distinguished(name: string, names: readonly string[], show: 'options' | 'values'): string {
  const { optimizer, options, suffix } = partsOf(name);
  const relatives = names.map(partsOf).filter((other) => other.optimizer === optimizer);
  const differs = (option: string) => !relatives.every((other) => other.options.includes(option));
  const keys = relatives.flatMap((other) => [...new Set(other.options.filter(differs).map(keyOf))]);
  // Where one option differs and several runs have it, its value says enough.
  const isOne = new Set(keys).size === 1 && keys.length > 1;
  const shown = options.filter(differs);
  const texts = isOne || show === 'values' ? shown.map((option) => option.slice(option.indexOf('=') + 1)) : shown;
  return [optimizer, ...texts].join(' ') + suffix;
}

/** The start of the name, or the start and a number if another label is equal. */
function numbered(name: string, length: number, taken: ReadonlySet<string>): string {
  if (name.length <= length && !taken.has(name)) return name;
  const start = (room: number) => (name.length <= room ? name : `${name.slice(0, Math.max(0, room - 1))}…`);
  let label = start(length);
  for (let count = 2; taken.has(label); count += 1) label = `${start(length - `${count}`.length)}${count}`;
  return label;
}

/** Kinds of data whose name says more than that of their folder. */
const namedByKind = new Set(['mnist', 'cifar10']);

/** Return the name of data: `wine.csv` of `csv:/home/me/wine.csv?label=quality`, `mnist` of `mnist:DIR`. */
export function dataName(spec: string): string {
  const [, kind = spec, path = ''] = /^([A-Za-z0-9]+)(?::([^?]*))?(?:\?.*)?$/s.exec(spec) ?? [];
  const last = path.replaceAll('\\', '/').replace(/\/+$/, '').split('/').at(-1);
  return namedByKind.has(kind) || !last || /^\.*$/.test(last) ? kind : last;
}
