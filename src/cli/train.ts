// `cgfac train`: one model, one optimizer, one folder.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { TrainingError } from '../errors.js';
import { experimentOf, makePlan, optimizerFor, standardizationLines } from './experiment.js';
import { type RunFlags, runFlags } from './flags.js';
import { modelHelp, modelTitle } from './models.js';
import { checkOptimizer, optimizerHelp, sharedOptions } from './optimizers.js';
import { printTable, printWarnings, runSummary } from './output.js';
import { fileNames } from './run-folder.js';
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
  cgfac train autoencoder --data digits --optimizer cgfac:damping=10 --rank 64 --steps 200 --json`;

interface TrainFlags extends RunFlags {
  readonly optimizer: string;
}

/** Return the flags of these words. @throws OptionError; commander's error for an unknown flag */
export function trainFlagsOf(words: readonly string[]): TrainFlags {
  const parser = withFlags(new Command('train'))
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return parser.parse(words, { from: 'user' }).opts();
}

function withFlags(train: Command): Command {
  train.option('--optimizer <name>', 'the optimizer, optionally with options, e.g. adam:learning-rate=0.003', 'cgfac');
  for (const flag of runFlags()) train.addOption(flag);
  return train;
}

export function command(): Command {
  const train = new Command('train')
    .description('Train a model with one optimizer and save it')
    .argument('[model]', 'a built-in model or an .onnx file', 'autoencoder');
  return withFlags(train).addHelpText('after', examples).action(run);
}

async function run(modelName: string, flags: TrainFlags): Promise<void> {
  const shared = sharedOptions(flags);
  checkOptimizer(flags.optimizer, shared);
  const usual = join('runs', `${modelTitle(modelName)}-${flags.optimizer.split(':')[0]}`);
  const { out: given, overwrite } = flags;
  await Workbench.use({ given, usual, overwrite, reads: [modelName] }, flags.threads, async (bench) => {
    const plan = await makePlan(modelName, flags);
    bench.announce(plan);
    const outcome = await bench.run(plan, optimizerFor(plan, flags.optimizer, shared));
    if (!outcome) return;
    const { record, diverged, warnings } = outcome;
    const { normalization, targetNormalization } = plan;
    const experiment = experimentOf(plan, [record]);
    await bench.report(`${plan.title} on ${plan.dataSpec}`, [experiment]);
    if (diverged !== undefined) throw new TrainingError(diverged);
    if (flags.json) {
      const result = {
        ...runSummary(record, [...plan.warnings, ...warnings]),
        ...(normalization && { normalization }),
        ...(targetNormalization && { targetNormalization }),
        out: bench.folder,
      };
      console.log(JSON.stringify(result));
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
  });
}
