// `study defaults`: one configuration of each optimizer, its default, on eleven problems, against AdamW tuned on each.

import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { defaultsPresentation } from './defaults-page.js';
import { type DefaultsResult, type DefaultsRow, defaultsResult, nextRate, tunedBaseline } from './defaults-result.js';
import { chosenProblems, type Problem, type ProblemOptions, parameterCount } from './problems.js';
import type { Cell, Optimizers, Study } from './study.js';
import { trainedCurve } from './training-run.js';

export interface DefaultsOptions extends ProblemOptions {
  /** The optimizers whose defaults are judged. */
  readonly optimizers: readonly string[];
  /** The optimizer that is tuned, and its rates. */
  readonly baseline: string;
  readonly rates: readonly number[];
  readonly seeds: number;
  /** Factor on the steps of every run. */
  readonly budget: number;
  /** Names of problems; all if left out. */
  readonly problems?: readonly string[] | undefined;
  readonly threads: number;
}

export const usualDefaults = {
  optimizers: ['cgfac', 'kfac', 'adamw', 'sgd', 'muon', 'schedule-free-adamw', 'prodigy'],
  baseline: 'adamw',
  rates: [2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2],
  seeds: 3,
  budget: 1,
} as const satisfies Partial<DefaultsOptions>;

export const quickDefaults = {
  ...usualDefaults,
  rates: [1e-3, 4e-3, 1.6e-2],
  optimizers: ['cgfac', 'kfac', 'schedule-free-adamw'],
  seeds: 1,
};

/** Evaluations of a run. */
const evaluations = 50;

/** Return the study. Runs take place one after another, in one engine. */
export async function defaultsStudy(
  options: DefaultsOptions,
  optimizers: Optimizers,
): Promise<Study<DefaultsRow, DefaultsResult>> {
  const { baseline, rates, seeds, budget, threads } = options;
  if (!optimizers.takes(baseline, 'learningRate')) {
    throw new OptionError(
      `the baseline '${baseline}' takes no learning rate from the grid: choose one that has a learning rate, and leave it out`,
    );
  }
  const problems = chosenProblems(options, options.problems);
  let engine: Engine | undefined;
  const cellOf = (problem: Problem, word: string, rate: number | null, seed: number): Cell<DefaultsRow> => {
    const planned = Math.max(1, Math.round(problem.steps * budget));
    return {
      key: `${problem.name}, ${word}${rate === null ? '' : ` at ${rate}`}, seed ${seed}`,
      async run(signal) {
        engine ??= await nodeEngine({ threads });
        const curve = await trainedCurve({
          engine,
          problem,
          optimizer: rate === null ? word : `${word}:learning-rate=${rate}`,
          optimizers,
          batchSize: problem.batchSize,
          steps: planned,
          seed,
          every: Math.max(1, Math.round(planned / evaluations)),
          metric: 'testLoss',
          signal,
        });
        return { problem: problem.name, optimizer: word, rate, seed, planned, ...curve };
      },
    };
  };
  const all = Array.from({ length: seeds }, (_, seed) => seed);
  const cells = problems.flatMap((problem) =>
    all.flatMap((seed) => [
      ...rates.map((rate) => cellOf(problem, baseline, rate, seed)),
      ...options.optimizers.map((word) => cellOf(problem, word, null, seed)),
    ]),
  );
  const named = async ({ name, title, batchSize, steps, data, model }: Problem) => ({
    name,
    title,
    batchSize,
    steps: Math.max(1, Math.round(steps * budget)),
    parameters: parameterCount(model(0, await data())),
  });
  const plan = { ...options, problems: [] as Awaited<ReturnType<typeof named>>[] };
  for (const problem of problems) plan.problems.push(await named(problem));
  return {
    name: 'defaults',
    title: 'One configuration, many problems',
    options: { ...options },
    cells,
    further: (rows) =>
      problems.flatMap((problem) => {
        const tuned = tunedBaseline(rows.filter((row) => row.problem === problem.name && row.rate !== null));
        const rate = nextRate(tuned, rates);
        return rate === undefined ? [] : all.map((seed) => cellOf(problem, baseline, rate, seed));
      }),
    result: (rows) => defaultsResult(rows, plan),
    present: defaultsPresentation,
    close: async () => engine?.close(),
  };
}
