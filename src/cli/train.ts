// `cgfac train`: one model, one optimizer, one folder.
import { join } from 'node:path';
import { Command } from 'commander';
import { experimentOf, makePlan, optimizerFor, standardizationLines } from './experiment.js';
import { type RunFlags, runFlags } from './flags.js';
import { interruptedExitCode } from './interruption.js';
import { modelHelp } from './models.js';
import { checkOptimizer, optimizerHelp, sharedOptions } from './optimizers.js';
import { printTable, runSummary } from './output.js';
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
  cgfac train classifier.onnx --data images:photos --new-head 5 --freeze 'features.*'
  cgfac train bert.onnx --data 'npy:sentences.npz?targets=labels'
  cgfac train encoder.onnx --data 'csv:rows.csv?label=kind' --lora 8 --train '*.bias'
  cgfac train autoencoder --data digits --optimizer cgfac:damping=10 --rank 64 --steps 200 --json`;

interface TrainFlags extends RunFlags {
  readonly optimizer: string;
}

export function command(): Command {
  const train = new Command('train')
    .description('Train a model with one optimizer, and save it')
    .argument('[model]', 'a built-in model or an .onnx file', 'autoencoder')
    .option('--optimizer <name>', 'the optimizer, with options of its own where wanted', 'cgfac');
  for (const flag of runFlags()) train.addOption(flag);
  return train.addHelpText('after', examples).action(run);
}

async function run(modelName: string, flags: TrainFlags): Promise<void> {
  const shared = sharedOptions(flags);
  checkOptimizer(flags.optimizer, shared);
  const plan = await makePlan(modelName, flags);
  const chosen = optimizerFor(plan, flags.optimizer, shared);
  const folder = flags.out ?? join('runs', `${plan.title}-${chosen.optimizer.name}`);
  await Workbench.use(folder, flags.threads, async (bench) => {
    bench.warn(plan.warnings);
    const outcome = await bench.run(plan, chosen, folder);
    if (bench.interrupted) process.exitCode = interruptedExitCode;
    if (!outcome) return;
    const { record, diverged } = outcome;
    const { normalization, targetNormalization } = plan;
    const experiment = experimentOf(plan, [record]);
    await bench.report(folder, `${plan.title} on ${plan.dataSpec}`, [experiment]);
    if (diverged) throw diverged;
    if (flags.json) {
      const standardized = {
        ...(normalization && { normalization }),
        ...(targetNormalization && { targetNormalization }),
      };
      const warnings = [...plan.warnings, ...outcome.warnings];
      const warned = warnings.length > 0 && { warnings };
      console.log(JSON.stringify({ ...runSummary(record), ...standardized, ...warned, out: folder }));
      return;
    }
    printTable(experiment);
    console.log(
      `\nSaved ${['model.onnx', 'metrics.jsonl', 'report.html'].map((file) => join(folder, file)).join(', ')}`,
    );
    for (const line of standardizationLines(plan)) console.log(line);
  });
}
