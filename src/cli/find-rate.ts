// `cgfac find-rate`: a learning rate for a model, its data and an optimizer, with a plot.
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import { nodeEngine } from '../engine/node.js';
import { writeFileAtomically } from '../files/write.js';
import { formatMeasured, formatNumber } from '../format.js';
import { mostThreads } from '../options.js';
import { createProgress } from '../reporting/progress.js';
import { ratePage } from '../reporting/rate-page.js';
import { type RateSearch, type RateSweep, searchRate } from '../training/rate-search.js';
import { describeEnvironment, typedCommand } from './environment.js';
import { makePlan, optimizerFor } from './experiment.js';
import { type RunFlags, runFlags } from './flags.js';
import { modelHelp, modelTitle } from './models.js';
import { number } from './number.js';
import { checkOptimizer, optimizerHelp, sharedOptions } from './optimizers.js';
import { aligned } from './output.js';

const examples = `
The learning rate grows from step to step. Suggested is the rate at which the loss falls most steeply, at most a tenth of
that of the lowest loss. The model is not changed, and nothing is saved but the plot.
${modelHelp()}
${optimizerHelp()}
Examples
  cgfac find-rate lenet --data digits --optimizer adam
  cgfac find-rate classifier.onnx --data images:photos --new-head 5 --freeze 'features.*' --optimizer adamw
  cgfac find-rate mlp --data digits --optimizer cgfac:step=normalized --from 1e-5 --to 1 --json`;

interface FindRateFlags extends RunFlags, RateSweep {
  readonly optimizer: string;
  readonly plot?: string;
}

/** Those of `train` that decide what a step computes. */
const taken = [
  ...['data', 'batch-size', 'damping', 'rank', 'loss', 'normalize', 'no-normalize', 'augment', 'seed', 'threads'],
  ...['train', 'freeze', 'new-head', 'lora', 'clip-norm', 'clip-value', 'group', 'layer-decay', 'json', 'debug'],
];

export function command(): Command {
  const find = new Command('find-rate')
    .description('Find a learning rate by a short run whose rate grows from step to step')
    .argument('[model]', 'a built-in model or an .onnx file', 'autoencoder')
    .option('--optimizer <name>', 'the optimizer, optionally with options, e.g. sgd:momentum=0.9', 'adam')
    .addOption(
      new Option('--steps <n>', 'number of rates, a step each (default: 100)').argParser(
        number('--steps', { atLeast: 10, integer: true }),
      ),
    )
    .addOption(
      new Option('--from <x>', 'the first learning rate (default: 1e-7)').argParser(number('--from', { above: 0 })),
    )
    .addOption(new Option('--to <x>', 'the last learning rate (default: 10)').argParser(number('--to', { above: 0 })))
    .option('--plot <file>', 'where to write the plot, a page (default: runs/MODEL-find-rate.html)');
  for (const flag of runFlags()) if (taken.includes(flag.long?.slice(2) ?? '')) find.addOption(flag);
  return find.addHelpText('after', examples).action(run);
}

async function run(modelName: string, flags: FindRateFlags): Promise<void> {
  const { optimizer: spec, steps = 100, from, to } = flags;
  const shared = sharedOptions(flags);
  checkOptimizer(spec, shared);
  const plan = await makePlan(modelName, { ...flags, steps });
  const { optimizer } = optimizerFor(plan, spec, shared);
  const progress = createProgress();
  for (const note of [...plan.warnings.map((warning) => `Warning: ${warning}`), ...plan.notes]) progress.print(note);
  const threads = flags.threads ?? Math.min(availableParallelism(), mostThreads);
  const engine = await nodeEngine({ threads });
  try {
    progress.begin(spec, steps, undefined);
    const search = await searchRate(
      plan.model,
      plan.task,
      {
        ...{ engine, optimizer, batchSize: plan.batchSize, seed: flags.seed },
        ...(flags.augment && { augment: flags.augment }),
        callbacks: { onStep: (record) => progress.update(record) },
      },
      { steps, ...(from !== undefined && { from }), ...(to !== undefined && { to }) },
    );
    progress.finish();
    const path = flags.plot ?? join('runs', `${modelTitle(modelName)}-find-rate.html`);
    await mkdir(dirname(path), { recursive: true });
    const title = `Learning rates of ${spec} for ${plan.title} on ${plan.dataSpec}`;
    const environment = await describeEnvironment(threads);
    await writeFileAtomically(path, ratePage(search, { title, command: typedCommand(), environment }));
    print(search, flags, path);
  } finally {
    await engine.close();
  }
}

/** Rows of the table. */
const rows = 12;

function print(search: RateSearch, { json, optimizer }: FindRateFlags, path: string): void {
  const { points, suggestion, steepest, lowest, diverged } = search;
  if (json) {
    console.log(JSON.stringify({ suggestion, steepest, lowest, diverged, points, plot: path }));
    return;
  }
  const every = Math.max(1, Math.ceil(points.length / rows));
  const shown = points.filter((_, i) => i % every === 0);
  console.log(
    [
      ...aligned(
        [
          ['learning rate', 'loss', 'smoothed'],
          ...shown.map(({ rate, loss, smoothed }) => [
            formatNumber(rate),
            formatMeasured(loss),
            formatMeasured(smoothed),
          ]),
        ],
        0,
      ),
      '',
      verdict(search, optimizer),
      `The plot is ${path}`,
    ].join('\n'),
  );
}

/** Return what to do with the result. */
function verdict({ suggestion, steepest, lowest, diverged }: RateSearch, optimizer: string): string {
  if (suggestion === undefined || steepest === undefined || !lowest) {
    return 'The loss did not fall at any rate: try rates further apart (--from, --to), more steps, or look at the data (cgfac data).';
  }
  const [name = ''] = optimizer.split(':');
  const end = diverged
    ? 'and then it grows'
    : 'and it does not grow up to the last one: a larger --to may show where it does';
  return `Suggested: ${formatNumber(suggestion)} (${name}:learning-rate=${suggestion}). The loss falls most steeply at ${formatNumber(steepest)}; it is lowest at ${formatNumber(lowest.rate)}, ${end}.`;
}
