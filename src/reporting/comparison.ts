// Runs of several folders on one page: those on the same data with the same metric are compared, each other group has a section
// of its own, and what differs between them is said.

import { formatSteps, listed } from '../format.js';
import type { Experiment, RunRecord } from '../training/run-record.js';
import { dataName } from './names.js';

/** A run as its folder tells of it. */
export interface FoundRun {
  readonly folder: string;
  /** The folder of the command that made it: of a comparison, that of all its runs. */
  readonly home: string;
  readonly record: RunRecord;
  readonly model: string;
  readonly data: string;
  /** Of the data as they were loaded, if it is known. */
  readonly fingerprint?: string | undefined;
  /** Number of parameters, if it is known. */
  readonly parameters?: number | undefined;
  readonly target?: Experiment['target'];
  /** Whether its process still runs. */
  readonly isRunning: boolean;
  /** The options that it was made with, by name. */
  readonly options: ReadonlyMap<string, string>;
  /** Sentences on what is wrong with its files. */
  readonly notes: readonly string[];
}

export interface Comparison {
  readonly experiments: readonly Experiment[];
  /** Sentences for the console, which the page has as well. */
  readonly notes: readonly string[];
}

/** Return the sections of the page. */
export function comparisonOf(given: readonly FoundRun[]): Comparison {
  const byKey = new Map<string, FoundRun[]>();
  for (const run of given) {
    const key = JSON.stringify([run.fingerprint ?? run.data, run.record.metric.name]);
    byKey.set(key, [...(byKey.get(key) ?? []), run]);
  }
  const groups = [...byKey.values()].map(withNames);
  const apart = groups.length > 1 ? [apartNote(groups)] : [];
  const own = groups.map((runs) => runs.flatMap(notesOf));
  const experiments = groups.map((runs, i): Experiment => {
    const same = <T>(of: (run: FoundRun) => T): T | undefined => {
      const values = new Set(runs.map(of));
      return values.size === 1 ? [...values][0] : undefined;
    };
    const models = [...new Set(runs.map(({ model }) => model))];
    const target = runs.find((run) => run.target)?.target;
    const isShared = target && runs.every((run) => JSON.stringify(run.target) === JSON.stringify(target));
    return {
      model: listed(models),
      data: runs[0]?.data ?? '',
      parameters: same(({ parameters }) => parameters) ?? Number.NaN,
      batchSize: same(({ record }) => record.batchSize) ?? Number.NaN,
      runs: runs.map(({ record }) => (isShared ? record : withoutTarget(record))),
      ...(isShared && { target }),
      notes: [...apart, ...(own[i] ?? [])],
      differences: differencesOf(runs),
    };
  });
  return { experiments, notes: [...apart, ...own.flat()] };
}

/** The steps to a target say nothing beside runs of another target. */
function withoutTarget({ toTarget: _, ...record }: RunRecord): RunRecord {
  return record;
}

/** Each run with a name of its own: its optimizer, and where it lies if another run has the same. */
function withNames(runs: readonly FoundRun[]): FoundRun[] {
  const last = (folder: string) => folder.split(/[\\/]/).findLast((part) => part !== '' && part !== '.') ?? folder;
  return runs.map((run) => {
    const { name } = run.record;
    const others = runs.filter((other) => other !== run && other.record.name === name);
    if (others.length === 0) return run;
    const isUnique = others.every((other) => last(other.home) !== last(run.home));
    return { ...run, record: { ...run.record, name: `${name} (${isUnique ? last(run.home) : run.folder})` } };
  });
}

function apartNote(groups: readonly (readonly FoundRun[])[]): string {
  const texts = groups.map((runs) => {
    const [first] = runs;
    const names = listed(runs.map(({ record }) => record.name));
    const data = dataName(first?.data ?? '');
    const isTwice = groups.filter(([other]) => other && dataName(other.data) === data).length > 1;
    const fingerprint = isTwice && first?.fingerprint ? `, fingerprint ${first.fingerprint.slice(0, 12)}` : '';
    return `${names} (${data}${fingerprint}, ${first?.record.metric.name})`;
  });
  return `Runs of different data or metrics cannot be compared, and have sections of their own: ${listed(texts, ';')}.`;
}

function notesOf({ record, folder, isRunning, notes }: FoundRun): string[] {
  const done = record.steps.at(-1)?.step ?? 0;
  const running = `${record.name} is still running: ${formatSteps(done)} so far, and the table has its last evaluations.`;
  return [...(isRunning ? [running] : []), ...notes.map((note) => `${folder}: ${note}`)];
}

/** The options that not all runs share, with the value of each run. */
function differencesOf(runs: readonly FoundRun[]): NonNullable<Experiment['differences']> {
  if (runs.length < 2) return [];
  const names = [...new Set(runs.flatMap(({ options }) => [...options.keys()]))];
  return names.flatMap((option) => {
    const values = runs.map(({ options }) => options.get(option));
    return new Set(values).size > 1 ? [{ option, values }] : [];
  });
}
