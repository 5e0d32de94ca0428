// The runs in a folder as `cgfac report` compares them: what run.json, config.json and metrics.jsonl tell of each.
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { OptionError } from '../errors.js';
import { isLocked } from '../files/folder-lock.js';
import { listed } from '../format.js';
import { metricNames, metricsOf } from '../metrics/index.js';
import { isRecord } from '../options.js';
import type { FoundRun } from '../reporting/comparison.js';
import { numberOfText, type RunResult, unfinishedRecord } from '../reporting/run-result.js';
import { WatchedFolder, type WatchedGroup, type WatchedRun } from '../reporting/watch/folder.js';
import type { RunRecord, StepRecord } from '../training/run-record.js';
import { folderName } from './compare.js';
import { modelTitle } from './models.js';
import { fileNames, manifestName } from './run-folder.js';
import { typedOptions } from './typed-options.js';

/** Options that say nothing of how a run trained. */
const idle = new Set([
  'command',
  'out',
  'overwrite',
  'json',
  'debug',
  'csv',
  'tensorboard',
  'optimizers',
  'model',
  'data',
]);
const configName = 'config.json';
/** Numbers of damaged lines that are named. */
const mostNamed = 5;

/**
 * Return the runs in a folder and below it.
 * @throws OptionError if there is no such folder, or no run in it; FileError if it cannot be read
 */
export async function foundRuns(path: string): Promise<FoundRun[]> {
  const folder = new WatchedFolder(path, { metrics: fileNames.metrics, manifest: manifestName, isLocked });
  await folder.look();
  const found = await Promise.all(folder.groups.flatMap((group) => group.runs.map((run) => foundRun(group, run))));
  const runs = found.filter((run) => run !== undefined);
  if (runs.length > 0) return runs;
  const begun = folder.groups.some(({ runs }) => runs.length > 0);
  throw new OptionError(
    begun
      ? `the runs in '${path}' have no steps yet: wait for the first, or give other folders`
      : `'${path}' holds no run: there is no ${fileNames.metrics} in it or below it; give the folder of a run (its --out)`,
  );
}

/** A run with steps; undefined for one without. */
async function foundRun(group: WatchedGroup, run: WatchedRun): Promise<FoundRun | undefined> {
  const { records, damaged } = run;
  if (records.length === 0) return undefined;
  const place = relative(group.path, run.path).split(sep).join('/');
  const [{ value: manifest, note: inManifest }, { value: config, note: inConfig }] = await Promise.all([
    readJson(join(group.path, manifestName)),
    readConfig(run.path, group.path),
  ]);
  const typed = typedOptions(group.command ?? '');
  const label = labelOf(place, typed, config);
  const results = Array.isArray(manifest.results) ? manifest.results.filter(isResult) : [];
  const result = results.find((each) => isOf(each, place, results.length));
  const isRunning = group.state === 'running' || group.state === 'waiting';
  const effective = isRecord(config.effective) ? config.effective : {};
  const planned = numberIn(effective.steps) ?? numberIn(typed.get('steps'));
  const record: RunRecord = result
    ? recordOf(result, records)
    : unfinishedRecord({
        name: label,
        steps: records,
        // A run that goes on was not stopped early.
        planned: isRunning ? undefined : planned,
        diverged: group.state === 'diverged',
        metric: metricIn(records),
      });
  const fingerprints = isRecord(config.fingerprints) ? config.fingerprints : {};
  return {
    folder: run.path,
    home: group.path,
    record,
    model: result?.model ?? modelTitle(textIn(config.model) ?? typed.get('model') ?? 'autoencoder'),
    data: result?.data ?? textIn(effective.data) ?? typed.get('data') ?? 'digits',
    fingerprint: textIn(fingerprints.data),
    parameters: result?.parameters,
    target: result?.target,
    isRunning,
    options: optionsOf(config, typed, record.name),
    notes: [
      ...[inManifest, inConfig].filter((note) => note !== undefined),
      ...(damaged.length > 0 ? [damagedNote(damaged)] : []),
      ...(group.state === 'killed' ? ['its process ended without a word; what it had logged is shown.'] : []),
    ],
  };
}

function damagedNote(lines: readonly number[]): string {
  const more = lines.length - mostNamed;
  const named = listed([...lines.slice(0, mostNamed).map(String), ...(more > 0 ? [`${more} more`] : [])]);
  return `${lines.length === 1 ? `line ${named}` : `lines ${named}`} of ${fileNames.metrics} ${lines.length === 1 ? 'is' : 'are'} damaged and left out.`;
}

/** The optimizer of a run: of a comparison, the one whose folder it is. */
function labelOf(place: string, typed: ReadonlyMap<string, string>, { effective }: Record<string, unknown>): string {
  const known = isRecord(effective) && isRecord(effective.optimizer) ? textIn(effective.optimizer.label) : undefined;
  if (known !== undefined) return known;
  const own = basename(place);
  if (own === '') return typed.get('optimizer') ?? 'cgfac';
  const specs = (typed.get('optimizers') ?? '').split(',').map((spec) => spec.trim());
  return specs.find((spec) => folderName(spec) === own) ?? own;
}

/** Whether a result is that of the run at a place in the folder. */
function isOf({ name, model }: RunResult, place: string, count: number): boolean {
  if (place === '') return count === 1;
  const outer = dirname(place);
  return folderName(name) === basename(place) && (outer === '.' || outer === model);
}

function recordOf(result: RunResult, steps: readonly StepRecord[]): RunRecord {
  const { model: _m, data: _d, parameters: _p, target: _t, ...record } = result;
  return { ...record, steps };
}

/** Enough of a result to show it; one of another version may lack it. */
function isResult(value: unknown): value is RunResult {
  if (!isRecord(value)) return false;
  const { name, model, data, train, test, metric, stepMilliseconds, seconds, stateBytes, batchSize } = value;
  const areTexts = [name, model, data].every((text) => typeof text === 'string');
  const areRecords = [train, test, metric, stepMilliseconds].every(isRecord);
  return areTexts && areRecords && [seconds, stateBytes, batchSize].every((number) => typeof number === 'number');
}

/** The main metric by its name in the steps, if it is one of the usual metrics. */
function metricIn(steps: readonly StepRecord[]): RunRecord['metric'] | undefined {
  const names = new Set(
    steps.flatMap(({ metrics }) =>
      Object.keys(metrics).map((key) =>
        key.replace(/^(?:train|validation|test)([A-Z])/, (_, letter) => letter.toLowerCase()),
      ),
    ),
  );
  const found = metricsOf(metricNames).find(({ name }) => names.has(name));
  return found && { name: found.name, lowerIsBetter: found.lowerIsBetter };
}

/** The options that a run was made with: as they took effect, else as they were typed. */
function optionsOf(
  config: Record<string, unknown>,
  typed: ReadonlyMap<string, string>,
  optimizer: string,
): ReadonlyMap<string, string> {
  const { effective, threads, versions } = config;
  const own = isRecord(effective) ? flattened({ threads, ...versionsOf(versions), ...effective }) : [...typed];
  const kept = own.filter(([name]) => !idle.has(name) && name !== 'optimizer' && !name.startsWith('optimizer.'));
  const model = textIn(config.model) ?? typed.get('model');
  return new Map([...(model === undefined ? [] : [['model', model] as const]), ['optimizer', optimizer], ...kept]);
}

const versionsOf = (versions: unknown): Record<string, unknown> => (isRecord(versions) ? { version: versions } : {});

/** Nested values under names with points. */
function flattened(value: Record<string, unknown>, prefix = ''): (readonly [string, string])[] {
  return Object.entries(value).flatMap(([key, each]): (readonly [string, string])[] => {
    if (each === undefined || each === null) return [];
    if (isRecord(each) && !Array.isArray(each)) return flattened(each, `${prefix}${key}.`);
    return [[`${prefix}${key}`, typeof each === 'string' ? each : JSON.stringify(each)]];
  });
}

const textIn = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

function numberIn(value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

/** The configuration of a run, or of the command that made it; nothing if there is none. */
async function readConfig(...folders: readonly string[]) {
  for (const folder of folders) {
    const { value, note } = await readJson(join(folder, configName));
    if (note !== undefined || Object.keys(value).length > 0) return { value, note };
  }
  return { value: {}, note: undefined };
}

/** An object in a file; without the file an empty one, and with a note if it is damaged. */
async function readJson(path: string): Promise<{ value: Record<string, unknown>; note: string | undefined }> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return { value: {}, note: undefined };
  try {
    const value: unknown = JSON.parse(text, numberOfText);
    if (isRecord(value)) return { value, note: undefined };
  } catch {
    // The note says it.
  }
  return { value: {}, note: `${basename(path)} is damaged and left out.` };
}
