// `cgfac evaluate`: the loss and the metrics of a model on data, by default on the part that training held out.
import { Command, Option } from 'commander';
import { type EvaluatedModel, evaluate } from '../api/evaluate.js';
import { loadModel } from '../api/load-save.js';
import type { DataSplits } from '../data/dataset.js';
import { dataKinds, loadData } from '../data/spec.js';
import { nodeEngine } from '../engine/node.js';
import { formatMetric, inOneLine, words } from '../format.js';
import type { Loss } from '../losses/loss.js';
import type { Meaning } from '../meaning.js';
import { metricNames, metricsOf } from '../metrics/index.js';
import type { Metric } from '../metrics/metric.js';
import { meaningOf } from '../model/meaning.js';
import { mostThreads } from '../options.js';
import { debugFlag } from './debug-flag.js';
import { lossFlag } from './flags.js';
import { count, number } from './number.js';
import { aligned, printWarnings } from './output.js';
import { shortest } from './prediction-lines.js';

const examples = `
By default the model is evaluated on the test part of the data. If a file has none, that is the part that was held out when the
model was trained: its file says which. Of data that the model has never seen, --split all takes all rows.

Data
${dataKinds()
  .map((kind) => `  ${kind}`)
  .join('\n')}

Examples
  cgfac evaluate runs/lenet-cgfac/model.onnx --data digits
  cgfac evaluate flowers.onnx --data 'csv:flowers.csv?label=species' --metrics accuracy,f1,confusion-matrix
  cgfac evaluate house-prices.onnx --data 'csv:next-year.csv?target=price' --split all --json`;

const splits = ['train', 'test', 'all'] as const;

interface EvaluateFlags {
  readonly data: string;
  readonly split: (typeof splits)[number];
  readonly metrics?: readonly Metric[];
  readonly loss?: Loss;
  readonly batchSize?: number;
  readonly seed?: number;
  readonly threads?: number;
  readonly json?: boolean;
}

export function command(): Command {
  return new Command('evaluate')
    .description('Measure the loss and the metrics of a model on data')
    .argument('<model>', 'an .onnx file')
    .requiredOption('--data <spec>', 'the data set, as for train')
    .addOption(
      new Option(
        '--metrics <list>',
        `metrics, separated by commas: ${metricNames.join(', ')} (default: those that suit the task)`,
      ).argParser((text) => metricsOf(text.split(',').map((word) => word.trim()))),
    )
    .addOption(lossFlag('the one that the model was trained with'))
    .addOption(new Option('--split <part>', 'the part of the data to measure').choices(splits).default('test'))
    .addOption(
      new Option(
        '--batch-size <n>',
        'examples computed at once; the result does not depend on it (default: 500)',
      ).argParser(number('--batch-size', count)),
    )
    .addOption(
      new Option('--seed <n>', 'seed by which a part is held out at random (default: that of the training)').argParser(
        number('--seed', { atLeast: 0, integer: true }),
      ),
    )
    .addOption(
      new Option('--threads <n>', 'number of threads (default: all cores)').argParser(
        number('--threads', { ...count, atMost: mostThreads }),
      ),
    )
    .option('--json', 'print the result as one JSON object')
    .addOption(debugFlag())
    .addHelpText('after', examples)
    .action(run);
}

async function run(path: string, flags: EvaluateFlags): Promise<void> {
  const model = await loadModel(path);
  const meaning = meaningOf(model);
  const { heldOut } = meaning;
  const seed = flags.seed ?? heldOut?.seed;
  const data = await loadData(flags.data, {
    modelInputs: model.graph.inputs.map(({ name }) => name),
    ...(seed !== undefined && { seed }),
    ...(heldOut && { testShare: heldOut.share }),
  });
  const sets = flags.split === 'all' ? [data.train, data.test] : [data[flags.split]];
  const engine = await nodeEngine({ worker: false, ...(flags.threads !== undefined && { threads: flags.threads }) });
  let result: EvaluatedModel;
  try {
    result = await evaluate(model, sets, {
      engine,
      metrics: flags.metrics ?? suitable(meaning, data),
      ...(flags.loss && { loss: flags.loss }),
      ...(flags.batchSize !== undefined && { batchSize: flags.batchSize }),
    });
  } finally {
    await engine.close();
  }
  const warnings = [...(flags.split === 'test' ? aboutSplit(meaning, data) : []), ...result.warnings];
  if (flags.json) {
    const { values, tables, loss, examples: size, classes } = result;
    const isTable = Object.keys(tables).length > 0;
    const found = { data: flags.data, split: flags.split, examples: size, loss, values };
    console.log(
      JSON.stringify({ ...found, ...(isTable && { tables }), ...(isTable && classes && { classes }), warnings }),
    );
    return;
  }
  const part = { train: 'training examples', test: 'test examples', all: 'examples' }[flags.split];
  console.log(`${path} on ${result.examples} ${part} of ${flags.data}\n`);
  console.log(report(result).join('\n'));
  printWarnings(warnings);
}

/** Classes up to so many have a table of counts by default. */
const mostInTable = 20;

/** The metrics of a task, if none are chosen. */
function suitable({ task, classes }: Meaning, { test }: DataSplits): readonly Metric[] {
  const isLabelled = test.targets.dtype === 'int64' && task !== 'autoencoding';
  if (!isLabelled && task !== 'classification') {
    return metricsOf(
      task === 'autoencoding' || test.targets === test.inputs ? ['squared-error', 'rmse'] : ['rmse', 'mae', 'r2'],
    );
  }
  if (test.targets.shape.length > 0) return metricsOf(['accuracy', 'perplexity']);
  const count = classes?.length ?? test.classes?.length ?? Number.POSITIVE_INFINITY;
  return metricsOf([
    ...['accuracy', ...(count > 5 ? ['top-5'] : []), 'balanced-accuracy', 'f1-macro', 'log-loss', 'calibration-error'],
    ...(count <= mostInTable ? ['confusion-matrix'] : []),
  ]);
}

/** What a person should know of a part that is held out at random. */
function aboutSplit({ heldOut }: Meaning, { test }: DataSplits): string[] {
  if (!test.heldOut) return [];
  const { share, seed } = test.heldOut;
  const by = `${Math.round(1000 * share) / 10}% of the file, chosen by the seed ${seed}`;
  if (!heldOut) {
    return [
      `The test part is ${by}. The model's file does not say which rows it was trained on: some of these may be among them. Give the share and the seed of its training ('?test=0.1&seed=0'), or --split all for data that it has never seen.`,
    ];
  }
  if (heldOut.seed === seed && heldOut.share === share) return [];
  return [
    `The test part is ${by}, and the model's training held out ${Math.round(1000 * heldOut.share) / 10}%, chosen by the seed ${heldOut.seed}: if this is the file that it was trained on, it has seen some of these rows.`,
  ];
}

function report({ loss, values, tables, classes }: EvaluatedModel): string[] {
  const rows = Object.entries(values)
    .filter(([name]) => !(name in tables))
    .map(([name, value]) => [name === 'loss' ? `loss (${loss})` : words(name), formatMetric(name, value)]);
  const found = Object.entries(tables).flatMap(([name, table]) => ['', ...tableLines(name, table, classes)]);
  return [...aligned(rows, 1), ...found];
}

/** A table with the names of the classes; the true ones are its rows. */
function tableLines(
  name: string,
  table: readonly (readonly number[])[],
  classes: readonly string[] | undefined,
): string[] {
  const named = (i: number) => inOneLine(classes?.[i] ?? String(i));
  const header = [
    name === 'confusionMatrix' ? 'true ↓  predicted →' : words(name),
    ...(table[0] ?? []).map((_, i) => named(i)),
  ];
  return aligned([header, ...table.map((row, i) => [named(i), ...row.map((value) => String(shortest(value)))])], 1);
}
