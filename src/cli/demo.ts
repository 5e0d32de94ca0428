// `cgfac demo`: a deep autoencoder and a classifier on the built-in digits, four optimizers each, one report.
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { loadData } from '../data/spec.js';
import { mostThreads } from '../options.js';
import { paint, wantsColour } from '../reporting/colour.js';
import type { Experiment } from '../training/run-record.js';
import { raceOf } from './compare.js';
import { debugFlag } from './debug-flag.js';
import { experimentOf, makePlan, optimizerFor } from './experiment.js';
import { outFlag, overwriteFlag, type RunFlags } from './flags.js';
import { number } from './number.js';
import { printTable, printWarnings } from './output.js';
import { Workbench } from './workbench.js';

interface DemoFlags {
  readonly out?: string;
  readonly overwrite?: boolean;
  readonly threads?: number;
  readonly seed: number;
}

const optimizers = ['cgfac', 'kfac', 'adam', 'sgd'];

/** The experiments; their lengths add up to two minutes on two cores. */
const acts: readonly { model: string; flags: Pick<RunFlags, 'steps' | 'target' | 'evaluationExamples'> }[] = [
  {
    model: 'autoencoder',
    flags: { steps: 80, evaluationExamples: 1000, target: { metric: 'squaredError', value: 12 } },
  },
  { model: 'mlp', flags: { steps: 250, evaluationExamples: 1000, target: { metric: 'accuracy', value: 0.97 } } },
];

export function command(): Command {
  return new Command('demo')
    .description('Watch CG-FAC, K-FAC, Adam and SGD race on the built-in digits (about two minutes)')
    .addOption(outFlag('the report and the models', join('runs', 'demo')))
    .addOption(overwriteFlag())
    .addOption(
      new Option('--threads <n>', 'number of threads (default: all cores)').argParser(
        number('--threads', { atLeast: 1, atMost: mostThreads, integer: true }),
      ),
    )
    .addOption(
      new Option('--seed <n>', 'seed for all random numbers')
        .argParser(number('--seed', { atLeast: 0, integer: true }))
        .default(0),
    )
    .addOption(debugFlag())
    .addHelpText('after', '\nExamples\n  cgfac demo\n  cgfac demo --out /tmp/demo --threads 4')
    .action(run);
}

async function run({ out: given, overwrite, threads, seed }: DemoFlags): Promise<void> {
  const { bold, dim } = paint(wantsColour(process.stdout, process.env));
  await Workbench.use({ given, usual: join('runs', 'demo'), overwrite }, threads, async (bench) => {
    const experiments: Experiment[] = [];
    bench.progress.print('Drawing 20,000 digits …');
    const data = await loadData('digits', { seed });
    for (const { model, flags } of acts) {
      if (bench.interrupted) break;
      const plan = await makePlan(model, { data: 'digits', seed, ...flags }, async () => data);
      console.log(`\n${bold(model)} ${dim(`on digits, ${plan.total} steps of ${plan.batchSize}`)}`);
      const chosen = optimizers.map((name) => optimizerFor(plan, name, {}));
      const outcomes = await raceOf(bench, plan, chosen, model);
      if (outcomes.length === 0) break;
      const experiment = experimentOf(
        plan,
        outcomes.map(({ record }) => record),
      );
      experiments.push(experiment);
      printTable(experiment);
      printWarnings(
        outcomes.flatMap(({ record, warnings }) => warnings.map((warning) => `${record.name}: ${warning}`)),
      );
    }
    if (experiments.length === 0) return;
    const path = await bench.report('CG-FAC on drawn digits', experiments);
    console.log(`\nReport: ${bold(path)}`);
  });
}
