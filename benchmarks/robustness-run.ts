// Trains one drawn problem with each optimizer, from the same start on the same batches.
import { createHash } from 'node:crypto';
import { onlyInput } from '../src/data/dataset.js';
import { nodeEngine } from '../src/engine/node.js';
import { adam } from '../src/optimizers/adam.js';
import type { Optimizer } from '../src/optimizers/optimizer.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { normalized } from '../src/optimizers/steps/normalized.js';
import { type DrawnProblem, drawnProblem } from '../test/support/drawn-problems.js';
import { type FinalLosses, firstLosses, trainProblem } from '../test/support/train-problem.js';

export interface Trained extends FinalLosses {
  readonly optimizer: string;
  readonly seconds: number;
}

export interface ProblemResult {
  readonly index: number;
  readonly name: string;
  readonly traits: readonly string[];
  readonly kind: DrawnProblem['kind'];
  readonly noise?: number;
  readonly normalize: boolean;
  /** Of the untrained model. */
  readonly first: FinalLosses;
  /** At learning rates 1e-3 and 1e-2. */
  readonly adam: readonly Trained[];
  readonly own: readonly Trained[];
  /** Tells this problem, as the library starts it, from others: what Adam's results are kept by. */
  readonly key: string;
}

const contenders: Readonly<Record<string, () => Optimizer>> = {
  cgfac: () => cgfac(),
  kfac: () => kfac(),
  'cgfac-normalized': () => cgfac({ step: normalized() }),
  'kfac-normalized': () => kfac({ step: normalized() }),
  adam: () => adam(),
};

export async function problemRunner(options: {
  readonly steps: number;
  readonly optimizers: readonly string[];
  readonly cached: Readonly<Record<string, readonly Trained[]>>;
}) {
  const { steps, optimizers, cached } = options;
  const chosen = optimizers.map((name) => {
    const make = contenders[name];
    if (!make) throw new Error(`unknown optimizer '${name}'; choose of ${Object.keys(contenders).join(', ')}`);
    return [name, make] as const;
  });
  const engine = await nodeEngine({ threads: 1, worker: false });
  const trained = async (problem: DrawnProblem, label: string, optimizer: Optimizer): Promise<Trained> => {
    const started = performance.now();
    const losses = await trainProblem(engine, problem, optimizer, steps);
    return { optimizer: label, ...losses, seconds: (performance.now() - started) / 1000 };
  };
  return {
    async run(index: number): Promise<ProblemResult> {
      const problem = drawnProblem(index);
      const first = await firstLosses(engine, problem);
      const key = keyOf(problem, first, steps);
      const adams = cached[key] ?? [
        await trained(problem, 'adam 1e-3', adam({ learningRate: 1e-3 })),
        await trained(problem, 'adam 1e-2', adam({ learningRate: 1e-2 })),
      ];
      const own: Trained[] = [];
      for (const [name, make] of chosen) own.push(await trained(problem, name, make()));
      const { name, traits, kind, noise, normalize = true } = problem;
      return {
        index,
        name,
        traits,
        kind,
        normalize,
        first,
        adam: adams,
        own,
        key,
        ...(noise !== undefined && { noise }),
      };
    },
    close: () => engine.close(),
  };
}

/** The first loss tells apart what the library makes of a problem before it trains: a normalization of another kind. */
function keyOf({ model, data, batchSize, normalize }: DrawnProblem, first: FinalLosses, steps: number): string {
  const hash = createHash('sha256');
  for (const { inputs, targets, name } of [data.train, data.test]) {
    hash.update(onlyInput({ name, inputs }).data).update(targets.data);
  }
  for (const [name, { constant }] of model.parameters) hash.update(name).update(constant?.data ?? new Uint8Array());
  const start = [first.train, first.test].map((loss) => loss?.toPrecision(4));
  return hash
    .update(JSON.stringify([batchSize, normalize, steps, start]))
    .digest('hex')
    .slice(0, 24);
}
