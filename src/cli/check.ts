// `cgfac check`: the gradients of a model against differences of its loss, parameter by parameter.
import { Command, Option } from 'commander';
import { valueAndGradients } from '../api/value-and-gradients.js';
import { checkSlope, directionAlong, type SlopeCheck } from '../autodiff/slope-check.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { allocate, type TensorData, tensor } from '../graph/tensor.js';
import { type LossWord, lossOf } from '../losses/index.js';
import type { Loss } from '../losses/loss.js';
import { applyModel } from '../model/apply.js';
import { targetNormalizationOf } from '../model/edit/target-normalization.js';
import type { Model } from '../model/model.js';
import { Builder } from '../ops/builder.js';
import { random } from '../random.js';
import { type BatchSizes, drawnInputs, drawnTargets, inUnitsOf } from './drawn-batch.js';
import { debugFlag, lossFlag, number } from './flags.js';
import { modelHelp, openModel } from './models.js';
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
    const { loss, value, checks } = await checkModel(engine, model, {
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

interface ModelCheck {
  readonly loss: Loss;
  /** The loss at the model's parameters. */
  readonly value: number;
  /** By parameter. */
  readonly checks: ReadonlyMap<string, SlopeCheck>;
}

/**
 * Checks each parameter of a model on a drawn batch.
 * @param differentiate whose gradients are checked
 * @throws UnsupportedError where an operator has no gradient
 */
export async function checkModel(
  engine: Engine,
  model: Model,
  options: BatchSizes & { readonly loss?: Loss | LossWord; readonly seed: number },
  differentiate: typeof valueAndGradients = valueAndGradients,
): Promise<ModelCheck> {
  const { seed } = options;
  const inputs = drawnInputs(model, options, seed);
  const { graph, targets, loss } = lossGraph(
    model,
    inputs,
    seed,
    options.loss === undefined ? undefined : lossOf(options.loss),
  );
  const { loss: value, gradients } = await differentiate(model, {
    loss,
    inputs: Object.fromEntries(inputs),
    targets,
    engine,
  });
  const stored = new Map([...model.parameters].map(([name, parameter]) => [key(name), parameter.constant]));
  const own = engine.open();
  try {
    const program = await own.compile(graph);
    await own.write(
      Object.fromEntries([...stored].flatMap(([name, constant]) => (constant ? [[name, constant]] : []))),
    );
    const feeds = { ...Object.fromEntries([...inputs].map(([name, data]) => [`input.${name}`, data])), targets };
    const checks = new Map<string, SlopeCheck>();
    for (const [name, gradient] of gradients) {
      const start = stored.get(key(name));
      if (!start) throw new OptionError(`'${name}' of model '${model.name}' has no elements`);
      const slopes = Array.from(gradient.data as Float32Array, Number);
      for (let attempt = 0; attempt < attempts; attempt++) {
        const direction = directionAlong(slopes, random(seed, 'direction', name, attempt));
        const lossAt = async (h: number): Promise<number> => {
          const result = await program.run({ ...feeds, [key(name)]: moved(start, direction, h) });
          return Number(result.loss?.data[0]);
        };
        const slope = direction.reduce((sum, x, i) => sum + x * (slopes[i] ?? 0), 0);
        const check = await checkSlope(lossAt, slope, stepScale(start), precisionOf(start));
        checks.set(name, check);
        if (check.verdict !== 'differs') break;
      }
    }
    return { loss, value, checks };
  } finally {
    await own.close();
  }
}

/** Directions in which a gradient may differ: a kink (of Relu, say) right beside the start spoils some, a wrong gradient all. */
const attempts = 3;

const key = (name: string): string => `parameter.${name}`;
const precisionOf = ({ dtype }: TensorData): number => (dtype === 'float64' ? 2 ** -52 : 2 ** -23);

/** The norm of a parameter; of one whose elements are 0.01 where they are smaller, as new biases are. */
function stepScale({ data }: TensorData): number {
  const numbers = Array.from<number | bigint, number>(data, Number);
  return Math.max(Math.sqrt(numbers.reduce((sum, x) => sum + x * x, 0)), 0.01 * Math.sqrt(numbers.length));
}

function moved({ dtype, dims, data }: TensorData, direction: Float64Array, h: number): TensorData {
  const elements = allocate(dtype, direction.length);
  for (const [i, x] of direction.entries()) elements[i] = Number(data[i]) + h * x;
  return tensor(dtype, dims, elements);
}

/** The loss alone, with the parameters as inputs, and targets that fit it. */
function lossGraph(model: Model, inputs: ReadonlyMap<string, TensorData>, seed: number, chosen?: Loss) {
  const b = new Builder();
  const bound = Object.fromEntries(
    [...inputs].map(([name, { dtype, dims }]) => [name, b.input(`input.${name}`, dtype, dims)]),
  );
  const parameters = new Map(
    [...model.parameters].map(([name, { dtype, dims }]) => [name, b.input(key(name), dtype, dims)]),
  );
  const prediction = applyModel(b, model, parameters, bound);
  const normalization = targetNormalizationOf(model);
  const loss = chosen ?? lossOf(normalization ? 'mean-squared-error' : suggestedLoss(prediction));
  const output = loss.contained?.(b, prediction) ?? prediction;
  const drawn = drawnTargets(loss.targetType(output), output.dims.at(-1) ?? 1, seed);
  const targets = loss.inUnits ? inUnitsOf(normalization, drawn) : drawn;
  const value = loss.value(b, output, b.input('targets', targets.dtype, targets.dims));
  return { graph: b.build('loss', { loss: value }), targets, loss };
}

/** Cross-entropy for classifiers, whose last axis are classes or whose end is the activation; else squared error. */
function suggestedLoss(prediction: Value): LossWord {
  if (prediction.producer?.op === 'Sigmoid') return 'sigmoid-cross-entropy';
  return prediction.rank > 1 && (prediction.dims.at(-1) ?? 1) > 1 ? 'softmax-cross-entropy' : 'mean-squared-error';
}
