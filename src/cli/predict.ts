// `cgfac predict`: what a model makes of pictures, rows and texts, in the words of the data that it was trained on.
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { generateText } from '../api/generate.js';
import { loadModel } from '../api/load-save.js';
import { predictions } from '../api/predictions.js';
import type { ExampleLabel, LabelledExamples } from '../data/readers/examples.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { FileError, OptionError } from '../errors.js';
import { writeFileAtomically } from '../files/write.js';
import { printable } from '../format.js';
import type { Meaning } from '../meaning.js';
import { meaningOf, withMeaning } from '../model/meaning.js';
import type { Model } from '../model/model.js';
import { mostThreads } from '../options.js';
import { debugFlag } from './debug-flag.js';
import { count, number } from './number.js';
import { printWarnings } from './output.js';
import { openInputs } from './prediction-inputs.js';
import { csvLines, jsonLines, type LabelledPrediction, tableLines } from './prediction-lines.js';

const examples = `
Inputs
  PICTURE, FOLDER       JPEG, PNG, WebP, GIF, AVIF, TIFF; a folder with those in its sub-folders (needs the package sharp)
  FILE.csv, .tsv        rows with a header line, plain or .gz; also FILE.parquet
  FILE.npy, .npz        NumPy arrays; their first axis are the examples

A model that cgfac trained knows its classes, columns and target: columns are found by their names, and that of the target may
be there or not. --json prints one JSON object a line, one line for each example.

Examples
  cgfac predict runs/lenet-cgfac/model.onnx photos/ --top 1
  cgfac predict flowers.onnx new.csv --keep id --csv predictions.csv
  cgfac predict house-prices.onnx new.parquet --json
  cgfac predict imagenet.onnx cat.jpg --resize --classes names.txt
  cgfac predict shakespeare.onnx --prompt 'ROMEO:' --generate 300 --temperature 0.8 --seed 1`;

interface PredictFlags {
  readonly json?: boolean;
  readonly csv?: string;
  readonly top?: number;
  readonly keep?: readonly string[];
  readonly drop?: readonly string[];
  readonly resize?: boolean;
  readonly classes?: readonly string[];
  readonly prompt?: string;
  readonly generate?: number;
  readonly temperature?: number;
  readonly seed?: number;
  readonly batchSize?: number;
  readonly threads?: number;
}

const names = (text: string): string[] => text.split(',').map((name) => name.trim());

export function command(): Command {
  return new Command('predict')
    .description('Predict pictures, rows of tables and arrays with a model, or let it continue a text')
    .argument('<model>', 'an .onnx file')
    .argument('[inputs...]', 'pictures, folders of pictures, CSV, TSV, Parquet, NPY or NPZ files')
    .addOption(new Option('--json', 'print one JSON object a line, one line for each example').conflicts('csv'))
    .option('--csv <file>', 'write the predictions as CSV, whole or not at all')
    .addOption(
      new Option('--top <n>', 'classes to show, the most probable ones (default: 3)').argParser(number('--top', count)),
    )
    .addOption(
      new Option('--keep <columns>', 'columns to show beside the predictions, separated by commas').argParser(names),
    )
    .addOption(new Option('--drop <columns>', 'columns to leave out, separated by commas').argParser(names))
    .option('--resize', "scale and crop pictures to the model's size")
    .addOption(
      new Option(
        '--classes <names>',
        'names of the classes, for models that have none: separated by commas, or a file with one a line',
      ).argParser((text) => names(text)),
    )
    .option('--prompt <text>', 'a text to continue, with models of characters')
    .addOption(
      new Option('--generate <n>', 'characters to add to the text (default: 200)').argParser(
        number('--generate', count),
      ),
    )
    .addOption(
      new Option(
        '--temperature <t>',
        'how freely characters are drawn; 0 takes the most probable (default: 1)',
      ).argParser(number('--temperature', { atLeast: 0 })),
    )
    .addOption(
      new Option('--seed <n>', 'seed of the characters that are drawn (default: 0)').argParser(
        number('--seed', { atLeast: 0, integer: true }),
      ),
    )
    .addOption(
      new Option('--batch-size <n>', 'examples computed at once (default: what fits memory)').argParser(
        number('--batch-size', count),
      ),
    )
    .addOption(
      new Option('--threads <n>', 'number of threads (default: all cores)').argParser(
        number('--threads', { ...count, atMost: mostThreads }),
      ),
    )
    .addOption(debugFlag())
    .addHelpText('after', examples)
    .action(run);
}

async function run(path: string, inputs: readonly string[], flags: PredictFlags): Promise<void> {
  checkTogether(inputs, flags);
  const loaded = await loadModel(path);
  const model = flags.classes ? withClasses(loaded, await classNames(flags.classes)) : loaded;
  if (flags.prompt === undefined && inputs.length === 0) throw new OptionError(nothingGiven(path, meaningOf(model)));
  const open = () => nodeEngine({ worker: false, ...(flags.threads !== undefined && { threads: flags.threads }) });
  if (flags.prompt !== undefined) return await continueText(model, flags.prompt, flags, open);
  const { files, parts, warnings } = await openInputs(model, inputs, flags);
  if (flags.csv !== undefined) await checkTarget(flags.csv, [path, ...files]);
  const engine = await open();
  try {
    const options = { target: targetName(meaningOf(model)), hasFiles: files.length > 1 };
    const stream = labelled(model, parts, engine, flags);
    if (!flags.json) printWarnings(warnings);
    if (flags.csv !== undefined) {
      let lines = 0;
      const counted = (async function* () {
        for await (const line of csvLines(stream, options)) {
          lines++;
          yield line;
        }
      })();
      await writeFileAtomically(flags.csv, together(counted));
      console.log(`Wrote ${lines - 1} prediction${lines === 2 ? '' : 's'} to ${flags.csv}`);
      return;
    }
    for await (const lines of (flags.json ? jsonLines : tableLines)(stream, options)) await print(lines);
  } finally {
    await engine.close();
  }
}

/** Many lines at once: a call of the system for each would take longer than the predictions. */
async function* together(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let held = '';
  for await (const line of lines) {
    held += line;
    if (held.length < 2 ** 16) continue;
    yield held;
    held = '';
  }
  yield held;
}

/** @throws OptionError for flags without effect */
function checkTogether(inputs: readonly string[], flags: PredictFlags): void {
  const given = (...flagNames: readonly (keyof PredictFlags)[]) => flagNames.find((name) => flags[name] !== undefined);
  const flag = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  if (flags.prompt === undefined) {
    const useless = given('generate', 'temperature', 'seed');
    if (useless) throw new OptionError(`${flag(useless)} is for texts to continue: give one with --prompt TEXT`);
    return;
  }
  if (inputs.length > 0)
    throw new OptionError(`give either a text to continue (--prompt) or inputs, not both: ${inputs[0]}`);
  const useless = given('csv', 'top', 'keep', 'drop', 'resize', 'classes', 'batchSize');
  if (useless) throw new OptionError(`${flag(useless)} has no effect on a text to continue (--prompt): leave it out`);
}

/** What to do if there is nothing to predict. */
function nothingGiven(path: string, { text, columns, picture }: Meaning): string {
  const what = text
    ? "a text to continue: --prompt 'TEXT'"
    : columns
      ? `a table with the columns ${columns
          .map(({ name }) => name)
          .slice(0, 8)
          .join(', ')}${columns.length > 8 ? ', …' : ''}: FILE.csv`
      : picture
        ? 'pictures, or a folder of pictures'
        : 'pictures, or rows (CSV, Parquet, NPY, NPZ)';
  return `there is nothing to predict: give ${path} ${what}`;
}

const targetName = ({ target, classes, task }: Meaning): string =>
  target ?? (classes || task === 'classification' ? 'class' : 'prediction');

function withClasses(model: Model, classes: readonly string[]): Model {
  const meaning = meaningOf(model);
  if (meaning.classes)
    throw new OptionError(`model '${model.name}' has names of its classes already: leave --classes out`);
  const outputs = model.graph.outputs[0]?.value.knownType?.shape.at(-1);
  if (typeof outputs === 'number' && outputs !== classes.length) {
    throw new OptionError(
      `--classes has ${classes.length} names, and model '${model.name}' has ${outputs} outputs: give one for each`,
    );
  }
  return withMeaning(model, { ...meaning, task: 'classification', classes });
}

/** The names themselves, or those in a file. */
async function classNames(given: readonly string[]): Promise<readonly string[]> {
  const [only = '', ...more] = given;
  if (more.length > 0 || !existsSync(only)) return given;
  const { decodeText, readBytes } = await import('../data/readers/files.js');
  const lines = decodeText(await readBytes(only, 'file of class names'), only).split(/\r?\n/);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
}

/** @throws OptionError if the file to write is one that is read */
async function checkTarget(target: string, read: readonly string[]): Promise<void> {
  const found = await stat(target).catch(() => undefined);
  if (!found) return;
  if (found.isDirectory()) throw new FileError(`cannot write '${target}': it is a folder; choose the path of a file`);
  for (const file of read) {
    const other = await stat(file).catch(() => undefined);
    if (other?.ino !== found.ino || other.dev !== found.dev) continue;
    throw new OptionError(`--csv '${target}' is an input, which would be lost: choose another file`);
  }
}

/** Predictions with the labels of their examples. */
async function* labelled(
  model: Model,
  parts: AsyncIterable<LabelledExamples>,
  engine: Engine,
  { top, batchSize }: PredictFlags,
): AsyncGenerator<LabelledPrediction> {
  let labels: readonly ExampleLabel[] = [];
  let [first, next] = [0, 0];
  const given = (async function* () {
    for await (const part of parts) {
      first = next;
      next += part.labels.length;
      labels = part.labels;
      yield part.examples;
    }
  })();
  const options = { engine, ...(top !== undefined && { top }), ...(batchSize !== undefined && { batchSize }) };
  for await (const prediction of predictions(model, given, options)) {
    const label = labels[prediction.index - first];
    if (label) yield { label, prediction };
  }
}

async function continueText(
  model: Model,
  prompt: string,
  flags: PredictFlags,
  open: () => Promise<Engine>,
): Promise<void> {
  const { generate: length = 200, temperature = 1, seed = 0 } = flags;
  // Checks the text before an engine is made.
  generateText(model, prompt, { length, temperature, seed });
  const engine = await open();
  try {
    if (!flags.json) await print(printable(prompt));
    let text = '';
    for await (const character of generateText(model, prompt, { length, temperature, seed, engine })) {
      text += character;
      if (!flags.json) await print(printable(character));
    }
    await print(flags.json ? `${JSON.stringify({ prompt, text, temperature, seed })}\n` : '\n');
  } finally {
    await engine.close();
  }
}

/** Write to the standard output as fast as its reader takes it; nothing if that has gone. */
async function print(text: string): Promise<void> {
  const { stdout } = process;
  if (stdout.destroyed || stdout.write(text)) return;
  await new Promise<void>((resolve) => {
    const go = () => {
      stdout.off('drain', go).off('close', go);
      resolve();
    };
    stdout.on('drain', go).on('close', go);
  });
}
