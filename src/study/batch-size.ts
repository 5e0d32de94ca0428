// `study batch-size`: what larger batches gain, after arXiv 1903.06237: steps and seconds to a target over a grid of learning rates
// and dampings, for each size of batches.
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { optimizerOf } from '../reporting/names.js';
import { resolveTarget } from '../training/evaluation/schedule.js';
import { standardizedTask } from '../training/task/standardization.js';
import { runMetrics } from '../training/trainer.js';
import { batchSizePresentation } from './batch-size-page.js';
import { type BatchRow, type BatchSizeResult, batchSizeResult, type Sweep } from './batch-size-result.js';
import { gridAround } from './grid-edge.js';
import { chosenProblems, type ProblemOptions } from './problems.js';
import type { Cell, Optimizers, Study } from './study.js';
import { trainedCurve } from './training-run.js';

export interface BatchSizeOptions extends ProblemOptions {
  readonly optimizers: readonly string[];
  readonly problem: string;
  readonly target?: { readonly metric: string; readonly value: number } | undefined;
  readonly batches: readonly number[];
  /** Number of learning rates, each √10 times the one before. */
  readonly rates: number;
  /** Number of dampings, each 10 times the one before, for optimizers that have one. */
  readonly dampings: number;
  readonly seeds: number;
  /** Factor on the length of the longest run. */
  readonly budget: number;
  readonly threads: number;
}

export const usualBatchSize = {
  optimizers: ['sgd', 'adamw', 'kfac', 'cgfac'],
  problem: 'mlp',
  batches: [32, 128, 512, 2048],
  rates: 5,
  dampings: 3,
  seeds: 1,
  budget: 1,
} as const satisfies Partial<BatchSizeOptions>;

export const quickBatchSize = { ...usualBatchSize, batches: [32, 128, 512], rates: 3, dampings: 2, budget: 0.5 };

/** Accuracy on the validation set that the MLP is to reach: of 8,000 drawn digits, and of the 1,000 of a quick study. */
const usualTarget = (quick: boolean) => ({ metric: 'testAccuracy', value: quick ? 0.8 : 0.95 });

/** Centres of the grids of learning rates, near the defaults; of others that of Adam. Second order has normalized steps. */
const centres: Readonly<Record<string, number>> = { sgd: 0.1, adam: 3e-3, adamw: 3e-3, kfac: 2e-3, cgfac: 2e-3 };
const otherCentre = 1e-3;
/** Relative to the mean eigenvalue, as normalized steps have it. */
const centreOfDampings = 0.1;

/** Passes over the training set of the longest run, and the fewest steps of one. */
const [mostEpochs, fewestSteps] = [20, 40];
/** Evaluations of the longest run: to its hundredth the steps to the target are known. */
const evaluations = 100;

export async function batchSizeStudy(
  options: BatchSizeOptions,
  optimizers: Optimizers,
): Promise<Study<BatchRow, BatchSizeResult>> {
  const { quick, budget, seeds, batches, threads } = options;
  const [problem] = chosenProblems(options, [options.problem]);
  if (!problem) throw new OptionError(`there is no problem '${options.problem}'`);
  if (!options.target && problem.name !== usualBatchSize.problem)
    throw new OptionError(`--target is missing: say what to reach on ${problem.name}, such as testLoss=0.2`);
  const given = options.target ?? usualTarget(quick);
  const data = await problem.data();
  const examples = data.train.size;
  const large = batches.find((batch) => batch > examples);
  if (large !== undefined)
    throw new OptionError(`--batches has ${large}, and ${problem.name} has ${examples} training examples`);
  const { task } = standardizedTask(problem.model(0, data), data, {});
  const { key, lowerIsBetter } = resolveTarget(given, runMetrics(task, {}));
  const epochs = mostEpochs * budget;
  const sweeps = options.optimizers.map((word) => sweepOf(word, options, optimizers));
  let engine: Engine | undefined;
  const cell = (sweep: Sweep, batch: number, rate: number, damping: number | null, seed: number): Cell<BatchRow> => ({
    key: `${sweep.optimizer}, batch ${batch}, rate ${rate}${damping === null ? '' : `, damping ${damping}`}, seed ${seed}`,
    async run(signal) {
      engine ??= await nodeEngine({ threads });
      const planned = Math.max(fewestSteps, Math.ceil((epochs * examples) / batch));
      const hits = (value: number) => (lowerIsBetter ? value <= given.value : value >= given.value);
      const { points, diverged, steps, seconds } = await trainedCurve({
        engine,
        problem,
        optimizer: gridWord(sweep.optimizer, rate, damping),
        optimizers,
        batchSize: batch,
        steps: planned,
        seed,
        every: Math.max(1, Math.floor(planned / evaluations)),
        metric: key,
        until: hits,
        signal,
      });
      const hit = points.find(([, , value]) => hits(value));
      const reached = hit ? { steps: hit[0], seconds: hit[1] } : null;
      return { optimizer: sweep.optimizer, batch, rate, damping, seed, reached, diverged, steps, planned, seconds };
    },
  });
  const cells = batches.flatMap((batch) =>
    sweeps.flatMap((sweep) =>
      sweep.rates.flatMap((rate) =>
        (sweep.dampings ?? [null]).flatMap((damping) =>
          Array.from({ length: seeds }, (_, seed) => cell(sweep, batch, rate, damping, seed)),
        ),
      ),
    ),
  );
  const { name, title } = problem;
  const plan = {
    problem: name,
    title,
    target: { metric: key, value: given.value },
    examples,
    epochs,
    seeds,
    batches,
    sweeps,
  };
  return {
    name: 'batch-size',
    title: 'What larger batches gain',
    options: { ...options, target: given },
    cells,
    result: (rows) => batchSizeResult(rows, plan),
    present: batchSizePresentation,
    close: async () => engine?.close(),
  };
}

function sweepOf(word: string, { rates, dampings }: BatchSizeOptions, { takes }: Optimizers): Sweep {
  const hasDamping = takes(word, 'damping');
  if (!hasDamping && !takes(word, 'learningRate'))
    throw new OptionError(`optimizer '${word}' sets its learning rate or has none: leave it to the grid`);
  return {
    optimizer: word,
    rates: gridAround(centres[optimizerOf(word)] ?? otherCentre, Math.sqrt(10), rates),
    dampings: hasDamping ? gridAround(centreOfDampings, 10, dampings) : null,
  };
}

/** The word with the options of a point of the grid. Of second-order optimizers steps are normalized unless they say otherwise. */
function gridWord(word: string, rate: number, damping: number | null): string {
  if (damping === null) return `${word}:learning-rate=${rate}`;
  const step = /:step=/.test(word) ? '' : ':step=normalized';
  return `${word}${step}:learning-rate=${rate}:damping=${damping}`;
}
