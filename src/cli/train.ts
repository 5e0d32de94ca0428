// `cgfac train`: one model, one optimizer, one folder.
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { OptionError, TrainingError } from '../errors.js';
import { mostThreads } from '../options.js';
import { dataName } from '../reporting/names.js';
import { cadence } from '../training/cadence.js';
import { withBatchSize } from './batch-size.js';
import { type CheckpointFlags, checkpointFlags } from './checkpoint-flags.js';
import { applyConfig, withConfig } from './config-file.js';
import { dryRun, forecastLines } from './dry-run.js';
import { experimentOf, makePlan, optimizerFor, standardizationLines } from './experiment.js';
import { type RunFlags, runFlags } from './flags.js';
import { recordGiven } from './given-options.js';
import { modelHelp, modelTitle } from './models.js';
import { checkOptimizer, optimizerHelp, sharedOptions } from './optimizers.js';
import { printTable, printWarnings, runSummary } from './output.js';
import { type Resumption, resumeCommand, resumption as resumptionOf, stoppedRun } from './resume.js';
import { commandOf, configOf, type GivenRun, type RunConfig } from './run-config.js';
import { fileNames } from './run-folder.js';
import { wordsOf } from './settings.js';
import { endingLines } from './stopping-flags.js';
import { Workbench } from './workbench.js';

const examples = `
${modelHelp()}

${optimizerHelp()}

Examples
  cgfac train autoencoder --data digits
  cgfac train lenet --data mnist:data/mnist --epochs 3 --out runs/first
  cgfac train resnet20:norm=batch --data cifar10:data/cifar-10 --normalize --augment flip,crop=4
  cgfac train char-transformer:layers=2 --data text:book.txt --steps 500
  cgfac train classifier.onnx --data images:photos --optimizer adamw:learning-rate=0.0003
  cgfac train lenet --data digits --steps 1000 --optimizer adamw:learning-rate=warm-up:50:cosine:0.003:950
  cgfac train classifier.onnx --data images:photos --new-head 5 --freeze 'features.*'
  cgfac train bert.onnx --data 'npy:sentences.npz?targets=labels'
  cgfac train encoder.onnx --data 'csv:rows.csv?label=kind' --lora 8 --train '*.bias'
  cgfac train autoencoder --data digits --optimizer cgfac:damping=10 --rank 64 --steps 200 --json
  cgfac train --resume runs/first --epochs 5`;

interface TrainFlags extends RunFlags, CheckpointFlags {
  readonly optimizer: string;
  readonly dryRun?: boolean;
}

/**
 * Return the flags of a run whose options are those of a file for --config.
 * @param where the file, for messages
 * @throws OptionError for what no flag can have
 */
export function trainFlagsOf(config: Readonly<Record<string, unknown>>, where: string): TrainFlags {
  const train = withFlags(new Command('train')).parse([], { from: 'user' });
  applyConfig(train, config, where);
  return train.opts();
}

/** Return the flags of these words. @throws OptionError; commander's error for an unknown flag */
function trainFlagsOfWords(words: readonly string[]): TrainFlags {
  const parser = withFlags(new Command('train'))
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return parser.parse(words, { from: 'user' }).opts();
}

function withFlags(train: Command): Command {
  train.option('--optimizer <name>', 'the optimizer, optionally with options, e.g. adam:learning-rate=0.003', 'cgfac');
  for (const flag of [...runFlags(), ...checkpointFlags()]) train.addOption(flag);
  const dryRun = 'take a few steps, evaluate, write a checkpoint, keep nothing, and say what the run will cost';
  train.addOption(new Option('--dry-run', dryRun).conflicts(['resume', 'out', 'overwrite']));
  return train;
}

export function command(): Command {
  const train = new Command('train')
    .description('Train a model with one optimizer and save it')
    .argument('[model]', 'a built-in model or an .onnx file', 'autoencoder');
  const options = recordGiven(withConfig(withFlags(train)));
  return train.addHelpText('after', examples).action(async (model: string, flags: TrainFlags) => {
    const { config: _, ...words } = options(); // what the file says is among the others
    const given = { model, options: words, folder: process.cwd() };
    if (flags.dryRun) await forecast(given, flags);
    else if (flags.resume === undefined) await begin(given, flags);
    else await goOn(flags.resume, { model: train.args[0], options: given.options }, flags.force === true);
  });
}

/** Take a few steps, and say what the run will cost. */
async function forecast({ model }: GivenRun, typed: TrainFlags): Promise<void> {
  const shared = sharedOptions(typed);
  checkOptimizer(typed.optimizer, shared);
  const { flags, notes } = await withBatchSize(model, typed.optimizer, typed);
  const plan = await makePlan(model, flags);
  for (const line of [...notes, ...plan.warnings.map((warning) => `Warning: ${warning}`), ...plan.notes])
    process.stderr.write(`${line}\n`);
  const threads = flags.threads ?? Math.min(availableParallelism(), mostThreads);
  const found = await dryRun(plan, optimizerFor(plan, flags.optimizer, shared), threads);
  if (flags.json) console.log(JSON.stringify(found));
  else for (const line of forecastLines(found, flags.checkpoints ? flags.keep : 0)) console.log(line);
}

async function begin(given: GivenRun, flags: TrainFlags): Promise<void> {
  if (flags.force) throw new OptionError('--force has no effect without --resume');
  const usual = join('runs', `${modelTitle(given.model)}-${flags.optimizer.split(':')[0]}`);
  const { out, overwrite } = flags;
  await run({ given: out, usual, overwrite, reads: [given.model] }, given, flags, async () => undefined);
}

async function goOn(folder: string, anew: Parameters<typeof stoppedRun>[1], force: boolean): Promise<void> {
  const stopped = await stoppedRun(folder, anew);
  const { path, given } = stopped;
  const flags = trainFlagsOfWords(wordsOf('options', { threads: stopped.config.threads, ...given.options }));
  const where = { given: path, usual: path, resume: true, command: commandOf(given) };
  await run(where, given, flags, (config, warn) => resumptionOf(stopped, config, { force, warn }));
}

async function run(
  where: Parameters<typeof Workbench.use>[0],
  typed: GivenRun,
  typedFlags: TrainFlags,
  resumed: (config: RunConfig, warn: (line: string) => void) => Promise<Resumption | undefined>,
): Promise<void> {
  const shared = sharedOptions(typedFlags);
  checkOptimizer(typedFlags.optimizer, shared);
  await Workbench.use(where, typedFlags.threads, async (bench) => {
    const { flags, notes } = await withBatchSize(typed.model, typedFlags.optimizer, typedFlags);
    for (const note of notes) bench.progress.print(note);
    // A run that goes on takes the size that was found.
    const found = flags.batchSize === typedFlags.batchSize ? {} : { 'batch-size': String(flags.batchSize) };
    const given = { ...typed, options: { ...typed.options, ...found } };
    const plan = await makePlan(given.model, flags);
    const optimizer = optimizerFor(plan, flags.optimizer, shared);
    const config = await configOf(given, plan, optimizer, bench.threads);
    const resumption = await resumed(config, (line) => bench.warn(line));
    bench.announce(plan);
    if (resumption) bench.progress.print(`Going on after step ${resumption.state.step}, from ${resumption.path}.`);
    else if (where.resume) bench.progress.print('The run was killed before its first checkpoint: it begins anew.');
    const every = flags.checkpoints ? cadence('--checkpoint-every', flags.checkpointEvery) : undefined;
    const continuation = { config, every, keep: flags.keep, resumption };
    const further = `Go on with it by: ${resumeCommand(bench.folder)}`;
    const outcome = await bench.run(plan, optimizer, [], continuation).catch(async (error: unknown) => {
      if (await bench.isResumable) bench.progress.print(further);
      throw error;
    });
    if (!outcome) return;
    const { record, diverged, warnings } = outcome;
    const { normalization, targetNormalization } = plan;
    const experiment = experimentOf(plan, [record]);
    await bench.report(`${plan.title} on ${dataName(plan.dataSpec)}`, [experiment]);
    if (diverged !== undefined) throw new TrainingError(diverged);
    const goesOn = bench.isStopped && (await bench.isResumable);
    if (flags.json) {
      const result = {
        ...runSummary(record, [...plan.warnings, ...warnings]),
        ...(normalization && { normalization }),
        ...(targetNormalization && { targetNormalization }),
        out: bench.folder,
      };
      console.log(JSON.stringify(result));
      if (goesOn) bench.progress.print(further);
      return;
    }
    printTable(experiment);
    for (const line of endingLines(record, flags)) console.log(line);
    printWarnings(warnings);
    const files = Object.values(fileNames)
      .map((file) => join(bench.folder, file))
      .filter(existsSync);
    console.log(`\n${warnings.length > 0 ? 'Saved all the same:' : 'Saved'} ${files.join(', ')}`);
    for (const line of standardizationLines(plan)) console.log(line);
    if (goesOn) console.log(further);
  });
}
