// `cgfac check`: compares the gradients of a model with differences of its loss, parameter by parameter.
import { Command, Option } from 'commander';
import type { SlopeCheck } from '../autodiff/slope-check.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import type { Loss } from '../losses/loss.js';
import { debugFlag, lossFlag, number } from './flags.js';
import { checkGradients } from './gradient-check.js';
import { modelHelp, openModel } from './models.js';
import { aligned } from './output.js';

const examples = `
Inputs and targets are drawn at random, in the units that the model normalizes. Each parameter is moved along a random
direction with the signs of its gradient: 'derivative' is what the gradient says of it, 'difference' what the losses on
both sides say. The exit code is 1 where they do not agree. 'flat' is a direction in which the loss changes by no more
than its rounding in float32, as the gradient says too: a bias before a normalization, say.

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
    .description('Compare the gradients of a model with differences of its loss')
    .argument('<model>', 'a built-in model or an .onnx file')
    .addOption(lossFlag("what the model's end suggests"))
    .addOption(
      new Option('--batch-size <n>', 'examples')
        .argParser(number('--batch-size', { atLeast: 1, integer: true }))
        .default(16),
    )
    .addOption(new Option('--size <axis=n>', 'size of another symbolic axis; repeatable').argParser(axisSize))
    .addOption(
      new Option('--seed <n>', 'seed of inputs, targets and directions')
        .argParser(number('--seed', { atLeast: 0, integer: true }))
        .default(0),
    )
    .option('--json', 'print one JSON object')
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
