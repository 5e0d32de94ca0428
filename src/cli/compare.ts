// `cgfac compare`: several optimizers from the same start on the same batches, one table, one report.
import { join } from 'node:path';
import { Command } from 'commander';
import { OptionError } from '../errors.js';
import { experimentOf, makePlan, optimizerFor, type Plan } from './experiment.js';
import { type RunFlags, runFlags } from './flags.js';
import { interruptedExitCode } from './interruption.js';
import { modelHelp } from './models.js';
import { type ChosenOptimizer, checkOptimizer, optimizerHelp, sharedFor, sharedOptions } from './optimizers.js';
import { printTable, runSummary } from './output.js';
import { type Outcome, Workbench } from './workbench.js';

const examples = `
--learning-rate holds for the first-order optimizers, --damping and --rank for those that have them;
an option of an optimizer's own goes before.

${modelHelp()}

${optimizerHelp()}

Examples
  cgfac compare autoencoder --data digits --optimizers cgfac,kfac,adam,sgd --target squaredError=12
  cgfac compare mlp --data mnist:data/mnist --optimizers cgfac,adam:learning-rate=0.003,adam --epochs 2
  cgfac compare char-transformer --data text:book.txt --optimizers cgfac,adam --steps 300
  cgfac compare autoencoder --optimizers cgfac:rank=64,cgfac:rank=256 --steps 100`;

interface CompareFlags extends RunFlags {
  readonly optimizers: string;
}

export function command(): Command {
  const compare = new Command('compare')
    .description('Train a model with several optimizers side by side: the same start, the same batches')
    .argument('[model]', 'a built-in model or an .onnx file', 'autoencoder')
    .option('--optimizers <names>', 'the optimizers, with commas between', 'cgfac,kfac,adam,sgd');
  for (const flag of runFlags()) compare.addOption(flag);
  return compare.addHelpText('after', examples).action(run);
}

async function run(modelName: string, flags: CompareFlags): Promise<void> {
  const specs = specsOf(flags);
  const shared = sharedOptions(flags);
  for (const spec of specs) checkOptimizer(spec, sharedFor(spec, shared));
  const plan = await makePlan(modelName, flags);
  const optimizers = specs.map((spec) => optimizerFor(plan, spec, sharedFor(spec, shared)));
  const folder = flags.out ?? join('runs', `${plan.title}-compare`);
  await Workbench.use(folder, flags.threads, async (bench) => {
    bench.warn(plan.warnings);
    const outcomes = await raceOf(bench, plan, optimizers, folder);
    if (bench.interrupted) process.exitCode = interruptedExitCode;
    if (outcomes.length === 0) return;
    const experiment = experimentOf(
      plan,
      outcomes.map(({ record }) => record),
    );
    const path = await bench.report(folder, `${plan.title} on ${plan.dataSpec}`, [experiment]);
    if (flags.json) {
      console.log(JSON.stringify({ runs: outcomes.map(({ record }) => runSummary(record)), out: folder }));
      return;
    }
    printTable(experiment);
    console.log(`\nReport: ${path}`);
  });
}

/** One run after another; those that diverge are told of and do not stop the others. */
export async function raceOf(
  bench: Workbench,
  plan: Plan,
  optimizers: readonly ChosenOptimizer[],
  folder: string,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const chosen of optimizers) {
    const outcome = await bench.run(plan, chosen, join(folder, folderName(chosen.label)));
    if (!outcome) break;
    if (outcome.diverged) bench.progress.print(`${chosen.label}: ${outcome.diverged.message}`);
    outcomes.push(outcome);
  }
  return outcomes;
}

function specsOf({ optimizers }: CompareFlags): string[] {
  const specs = optimizers.split(',').map((spec) => spec.trim());
  const twice = specs.find((spec, i) => specs.indexOf(spec) !== i);
  if (twice === undefined) return specs;
  throw new OptionError(`--optimizers names '${twice}' twice; give each options of its own, such as ${twice}:…`);
}

const folderName = (label: string): string => label.replace(/[^\w.=-]+/g, '-');
