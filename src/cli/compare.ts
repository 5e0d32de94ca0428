// `cgfac compare`: several optimizers from the same start on the same batches, one table, one report.
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { OptionError, TrainingError } from '../errors.js';
import { dataName } from '../reporting/names.js';
import { withConfig } from './config.js';
import { experimentOf, makePlan, optimizerFor, type Plan } from './experiment.js';
import { listSchema, reads } from './flag-schema.js';
import { type RunFlags, runFlags } from './flags.js';
import { modelHelp, modelTitle } from './models.js';
import {
  type ChosenOptimizer,
  checkOptimizer,
  optimizerHelp,
  optimizerNames,
  sharedFor,
  sharedOptions,
} from './optimizers.js';
import { printTable, printWarnings, runSummary } from './output.js';
import { type Outcome, Workbench } from './workbench.js';

const examples = `
--learning-rate applies to the first-order optimizers, --damping and --rank to the optimizers that have them.
An option given with an optimizer's name takes precedence.

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
    .description('Train a model with several optimizers, from the same initial parameters and on the same batches')
    .argument('[model]', 'a built-in model or an .onnx file', 'autoencoder')
    .addOption(
      new Option('--optimizers <names>', 'the optimizers, separated by commas')
        .argParser(reads(listSchema(','), (text: string) => text))
        .default('cgfac,kfac,adam,sgd'),
    );
  for (const flag of runFlags()) compare.addOption(flag);
  return withConfig(compare).addHelpText('after', examples).action(run);
}

async function run(modelName: string, flags: CompareFlags): Promise<void> {
  const specs = specsOf(flags);
  const shared = sharedOptions(flags);
  for (const spec of specs) checkOptimizer(spec, sharedFor(spec, shared));
  const { out: given, overwrite } = flags;
  const usual = join('runs', `${modelTitle(modelName)}-compare`);
  await Workbench.use({ given, usual, overwrite, reads: [modelName] }, flags.threads, async (bench) => {
    const plan = await makePlan(modelName, flags);
    bench.announce(plan);
    const optimizers = specs.map((spec) => optimizerFor(plan, spec, sharedFor(spec, shared)));
    const outcomes = await raceOf(bench, plan, optimizers);
    if (outcomes.length === 0) return;
    const experiment = experimentOf(
      plan,
      outcomes.map(({ record }) => record),
    );
    const path = await bench.report(`${plan.title} on ${dataName(plan.dataSpec)}`, [experiment]);
    if (flags.json) {
      const runs = outcomes.map(({ record, warnings, diverged }) => ({
        ...runSummary(record, warnings),
        ...(diverged !== undefined && { diverged }),
      }));
      console.log(JSON.stringify({ runs, warnings: plan.warnings, out: bench.folder }));
    } else {
      printTable(experiment);
      printWarnings(
        outcomes.flatMap(({ record, warnings }) => warnings.map((warning) => `${record.name}: ${warning}`)),
      );
      console.log(`\nReport: ${path}`);
    }
    if (outcomes.every(({ diverged }) => diverged !== undefined))
      throw new TrainingError('every run diverged; see above');
  });
}

/** Run one optimizer after another; a diverged run is reported and does not stop the others. */
export async function raceOf(
  bench: Workbench,
  plan: Plan,
  optimizers: readonly ChosenOptimizer[],
  ...within: readonly string[]
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const chosen of optimizers) {
    const outcome = await bench.run(plan, chosen, ...within, folderName(chosen.label));
    if (!outcome) break;
    if (outcome.diverged !== undefined) bench.progress.print(`${chosen.label}: ${outcome.diverged}`);
    outcomes.push(outcome);
  }
  return outcomes;
}

function specsOf({ optimizers }: CompareFlags): string[] {
  const specs = optimizers
    .split(',')
    .map((spec) => spec.trim())
    .filter((spec) => spec !== '');
  if (specs.length === 0) {
    throw new OptionError(
      `--optimizers is '${optimizers}', which names no optimizer; choose from ${optimizerNames.join(', ')}`,
    );
  }
  const twice = specs.find((spec, i) => specs.indexOf(spec) !== i);
  if (twice === undefined) return specs;
  throw new OptionError(`--optimizers names '${twice}' twice; give each its own options, such as ${twice}:…`);
}

const folderName = (label: string): string => label.replace(/[^\w.=-]+/g, '-');
