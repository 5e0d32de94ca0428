// `cgfac sweep`: trials of one training with different options, resumed where they stopped, as a table and one page.
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { Command, Option } from 'commander';
import type { DataSplits } from '../data/dataset.js';
import { decodeText, readBytes } from '../data/readers/files.js';
import { loadData } from '../data/spec.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { messageOf, OptionError } from '../errors.js';
import { writeFileAtomically } from '../files/write.js';
import { mostThreads } from '../options.js';
import { isRange, type Settings } from '../study/sweep/space.js';
import { type SweepPlan, sweepPlan, sweepStudy, type TrialOutcome, type Trials } from '../study/sweep/sweep.js';
import { DivergedError } from '../training/diverged-error.js';
import { evaluatedValue, splitsOf } from '../training/evaluation/splits.js';
import { runMetrics, runTask } from '../training/trainer.js';
import { debugFlag } from './debug-flag.js';
import { makePlan, optimizerFor, runOptionsOf } from './experiment.js';
import { number } from './number.js';
import { checkOptimizer, sharedOptions } from './optimizers.js';
import { carriedOut, inFolder } from './study-folder.js';
import { trainFlagsOf } from './train.js';

const examples = `
The file
  {
    "model": "mlp",
    "train": { "data": "digits", "validation": 0.1, "epochs": 3 },
    "vary": {
      "optimizer": ["cgfac", "adam", "sgd"],
      "batch-size": [64, 128],
      "learning-rate": { "from": 1e-4, "to": 0.1, "scale": "log" }
    },
    "search": { "kind": "random", "trials": 20 },
    "by": "val.accuracy",
    "seed": 1
  }

  train      options of 'cgfac train', as a file for --config has them
  vary       options to vary: a list of values, or a range of numbers (scale linear or log, integer, count for a grid)
  search     grid: all combinations; random: so many draws; halving: so many short trials, of which the best third
             ("eta": 3) goes on to a training three times as long, and so on
  by         the value to compare trials by (default: the validation loss, without a validation set the test loss)

A sweep that was interrupted goes on where it stopped if the same command is given again.`;

interface SweepFlags {
  readonly out?: string;
  readonly overwrite?: boolean;
  readonly json?: boolean;
  readonly threads?: number;
}

export function command(): Command {
  return new Command('sweep')
    .description('Train a model with many settings of its options, and find the best')
    .argument('<file>', 'a file of JSON that says what to vary')
    .addOption(
      new Option('--threads <n>', 'number of threads (default: all cores)').argParser(
        number('--threads', { atLeast: 1, atMost: mostThreads, integer: true }),
      ),
    )
    .addOption(
      new Option(
        '--out <dir>',
        'folder for report.html, result.json, best.json and cells.jsonl (default: runs/sweep-FILE)',
      ),
    )
    .addOption(new Option('--overwrite', 'train anew what the folder holds already'))
    .addOption(new Option('--json', 'print the result as one JSON object on the last line'))
    .addOption(debugFlag())
    .addHelpText('after', examples)
    .action(run);
}

async function run(path: string, flags: SweepFlags): Promise<void> {
  if (flags.out?.trim() === '') throw new OptionError('--out is empty; give a folder, or leave it out');
  const plan = sweepPlan(await readJson(path));
  const threads = flags.threads ?? Math.min(availableParallelism(), mostThreads);
  const trials = await trialsOf(plan, threads);
  const study = sweepStudy(plan, trials);
  const folder = flags.out ?? join('runs', `sweep-${basename(path).replace(/\.json$/, '')}`);
  try {
    await inFolder(folder, flags.overwrite === true, async () => {
      const result = await carriedOut(study, { folder, threads, json: flags.json === true, command: 'sweep' });
      if (!result?.best) return;
      const file = join(folder, 'best.json');
      const best = { model: plan.model, ...plan.train, ...result.best.settings };
      await writeFileAtomically(file, `${JSON.stringify(best, undefined, 2)}\n`);
      if (!flags.json) console.log(`\nTrain the best:\n  npx cgfac train --config ${file}`);
    });
  } finally {
    await study.close();
  }
}

async function readJson(path: string): Promise<unknown> {
  const text = decodeText(await readBytes(path, 'sweep'), path);
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new OptionError(`'${path}' is no JSON: ${messageOf(error)}`, { cause: error });
  }
}

/** Options that the sweep itself takes. */
const ofTheSweep = ['model', 'out', 'overwrite', 'json', 'threads'];
/** Options about the files, the reports or the check of a single run, of which a trial has none. */
const ofOneRun: readonly string[] = [
  ...['resume', 'force', 'checkpoints', 'checkpoint-every', 'keep', 'dry-run', 'overfit'],
  ...['csv', 'tensorboard', 'tensorboard-gradients', 'diagnostics', 'target'],
];

const flagsOf = ({ train }: SweepPlan, settings: Settings) => trainFlagsOf({ ...train, ...settings }, 'the sweep');

/** @throws OptionError for options that no training takes: before the first trial, for every value that is listed */
async function trialsOf(plan: SweepPlan, threads: number): Promise<Trials> {
  for (const name of [...Object.keys(plan.train), ...plan.vary.map((dimension) => dimension.name)]) {
    if (ofTheSweep.includes(name))
      throw new OptionError(`'${name}' is no option of a trial; leave it out, or give --${name} to the sweep`);
    if (ofOneRun.includes(name))
      throw new OptionError(
        `'${name}' is no option of a trial: it has no effect on what the sweep shows; leave it out`,
      );
  }
  for (const settings of probesOf(plan)) {
    const flags = flagsOf(plan, settings);
    checkOptimizer(flags.optimizer, sharedOptions(flags));
  }
  // A set that several trials share is read once.
  const loaded = new Map<string, Promise<DataSplits>>();
  const load: typeof loadData = (spec, options) => {
    const key = JSON.stringify([spec, options]);
    const data = loaded.get(key) ?? loadData(spec, options);
    loaded.set(key, data);
    return data;
  };
  const first = await makePlan(plan.model, flagsOf(plan, probesOf(plan)[0] ?? {}), load);
  const metrics = runMetrics(first.task, first.flags);
  const by = plan.by ?? (first.task.data.validation ? 'validationLoss' : 'testLoss');
  const value = evaluatedValue('by', by, metrics, splitsOf(first.task.data));
  let engine: Engine | undefined;
  return {
    metric: value.key,
    lowerIsBetter: value.lowerIsBetter,
    async run(settings, share, signal): Promise<TrialOutcome> {
      const flags = flagsOf(plan, settings);
      const shared = sharedOptions(flags);
      const trial = await makePlan(plan.model, flags, load);
      engine ??= await nodeEngine({ threads });
      const steps = Math.max(1, Math.round(share * trial.total));
      try {
        const { record } = await runTask(trial.model, trial.task, {
          ...runOptionsOf(trial),
          engine,
          optimizer: optimizerFor(trial, flags.optimizer, shared).optimizer,
          steps,
          signal,
          monitor: value.key,
        });
        const last = record.steps.at(-1);
        const found = record.best?.value ?? last?.metrics[value.key] ?? Number.NaN;
        const name = value.key.slice(value.split.length);
        const test = record.test[`${name[0]?.toLowerCase()}${name.slice(1)}`] ?? Number.NaN;
        return { value: finite(found), test: finite(test), steps: last?.step ?? 0, seconds: record.seconds };
      } catch (error) {
        if (!(error instanceof DivergedError)) throw error;
        const { steps: taken, seconds } = error.record;
        return { value: null, test: null, steps: taken.at(-1)?.step ?? 0, seconds };
      }
    },
    async close() {
      await engine?.close();
    },
  };
}

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

/** Settings that have each listed value, and both ends of each range. */
function probesOf({ vary }: SweepPlan): Settings[] {
  const ends = vary.map(({ name, values }) => ({
    name,
    ends: isRange(values) ? [values.from, values.to] : values,
  }));
  const most = Math.max(...ends.map((each) => each.ends.length));
  return Array.from({ length: most }, (_, i) =>
    Object.fromEntries(ends.map(({ name, ends: values }) => [name, values[i % values.length] ?? ''])),
  );
}
