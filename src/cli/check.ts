// `cgfac check`: compares the gradients of a model with differences of its loss, parameter by parameter.
import { Command, Option } from 'commander';
import { checkGradients } from '../api/check-gradients.js';
import type { SlopeCheck } from '../autodiff/check-slope.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import type { Loss } from '../losses/loss.js';
import { debugFlag } from './debug-flag.js';
import { lossFlag } from './flags.js';
import { modelHelp, openModel } from './models.js';
import { number } from './number.js';
import { aligned } from './output.js';

const examples = `
Inputs and targets are random, in the units that the model expects. Each parameter moves along a random direction that
has the signs of its gradient: 'derivative' is the slope by the gradient, 'difference' the slope by the losses on both
sides. The exit code is 1 if they disagree. 'flat' means that the loss changes by no more than its rounding in float32,
and that the gradient agrees: the bias before a normalization is an example.

${modelHelp()}

Examples
  cgfac check classifier.onnx
  cgfac check encoder.onnx --size sequence=16 --loss mean-squared-error --seed 3
  cgfac check resnet20:norm=batch --json`;

interface CheckFlags {
  readonly loss?: Loss;
  readonly batchSize: number;
  readonly size?: Readonly<Record<string, number>>;
  readonly seed: number;
  readonly json?: boolean;
}

export function command(): Command {
  return new Command('check')
    .description('Check the gradients of a model against finite differences of its loss')
    .argument('<model>', 'a built-in model or an .onnx file')
    .addOption(lossFlag("chosen from the model's output"))
    .addOption(
      new Option('--batch-size <n>', 'examples in the batch')
        .argParser(number('--batch-size', { atLeast: 1, integer: true }))
        .default(16),
    )
    .addOption(
      new Option('--size <axis=n>', 'size of a symbolic axis other than the batch; repeatable').argParser(axisSize),
    )
    .addOption(
      new Option('--seed <n>', 'seed for inputs, targets and directions')
        .argParser(number('--seed', { atLeast: 0, integer: true }))
        .default(0),
    )
    .option('--json', 'print the result as one JSON object')
    .addOption(debugFlag())
    .addHelpText('after', examples)
    .action(run);
}

function axisSize(text: string, before: Readonly<Record<string, number>> = {}): Record<string, number> {
  const equals = text.lastIndexOf('=');
  if (equals < 1) throw new OptionError(`--size is '${text}'; write AXIS=N, such as sequence=16`);
  const size = number(`--size ${text.slice(0, equals)}`, { atLeast: 1, integer: true })(text.slice(equals + 1));
  return { ...before, [text.slice(0, equals)]: size };
}

async function run(name: string, flags: CheckFlags): Promise<void> {
  const { seed } = flags;
  const model = (await openModel(name))(seed);
  const engine = await nodeEngine({ worker: false });
  try {
    const { loss, value, checks } = await checkGradients(engine, model, {
      batchSize: flags.batchSize,
      sizes: flags.size ?? {},
      seed,
      ...(flags.loss && { loss: flags.loss }),
    });
    const wrong = [...checks].filter(([, { verdict }]) => verdict === 'differs').map(([parameter]) => parameter);
    if (wrong.length > 0) process.exitCode = 1;
    if (flags.json) {
      const parameters = [...checks].map(([parameter, check]) => ({ name: parameter, ...check }));
      console.log(JSON.stringify({ loss: loss.name, value, ok: wrong.length === 0, parameters }));
      return;
    }
    console.log([`${model.name}: ${loss.name} ${value.toPrecision(6)}`, '', ...table(checks), ''].join('\n'));
    console.log(
      wrong.length === 0
        ? `The gradients of all ${checks.size} parameters agree with the loss.`
        : `The gradients of ${wrong.join(', ')} do not agree with the loss.`,
    );
  } finally {
    await engine.close();
  }
}

const marks: Readonly<Record<SlopeCheck['verdict'], string>> = { agrees: 'yes', differs: 'NO', flat: 'yes (flat)' };

function table(checks: ReadonlyMap<string, SlopeCheck>): string[] {
  const rows = [...checks].map(([parameter, { slope, quotient, relativeError, verdict }]) => [
    parameter,
    slope.toExponential(4),
    quotient.toExponential(4),
    verdict === 'flat' ? '–' : relativeError.toExponential(1),
    marks[verdict],
  ]);
  return aligned([['parameter', 'derivative', 'difference', 'error', 'ok'], ...rows], 1);
}
