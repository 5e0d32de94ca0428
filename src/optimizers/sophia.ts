// Sophia-G (Liu et al. 2023, arXiv 2305.14342, algorithm 3, with the Gauss–Newton–Bartlett estimator of algorithm 2): momentum over
// a rarely renewed estimate of the diagonal Hessian, each element clipped. As its authors' program.
import { vectorJacobianProduct } from '../autodiff/gradients.js';
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { unitLikelihood } from '../losses/likelihood.js';
import { Objective } from '../losses/objective.js';
import type { Builder } from '../ops/builder.js';
import { checkedCount, checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { type Chain, namedChain } from './chain.js';
import { type StepContext, states } from './optimizer.js';
import type { Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average } from './transforms/moments.js';
import type { Transform } from './transforms/updates.js';

export interface SophiaOptions {
  /** η: no element changes by more in a step; 0.0001 by default. Its authors take a little less than AdamW's rate. */
  readonly learningRate?: Schedule;
  /** Decoupled weight decay w: θ ← θ − η·w·θ; 0.1 by default. */
  readonly weightDecay?: Schedule;
  /** Decay of the momentum; 0.965 by default. */
  readonly beta1?: number;
  /** Decay of the Hessian's moving average; 0.99 by default. */
  readonly beta2?: number;
  /** ρ: elements are clipped if the momentum is more than ρ times the Hessian; 0.04 by default. */
  readonly rho?: number;
  /** Steps from one estimate of the Hessian to the next; 10 by default. */
  readonly hessianInterval?: number;
}

const keys: OptionKeys<SophiaOptions> = {
  learningRate: true,
  weightDecay: true,
  beta1: true,
  beta2: true,
  rho: true,
  hessianInterval: true,
};

/** Keeps the quotient finite where the Hessian is 0, as in the authors' program. */
const epsilon = 1e-15;

/**
 * Return Sophia-G. It needs a loss with a likelihood, from which it draws targets. Until the first estimate of the Hessian,
 * after `hessianInterval` steps, its steps are signs, as its authors' are.
 * @throws OptionError for unknown options and numbers out of range; when a run begins, for a loss without a likelihood
 * @example
 * const optimizer = chain(clipByGlobalNorm(1), sophiaG({ learningRate: warmUp(100, cosine(0.0003, 5000)) }));
 */
export function sophiaG(options: SophiaOptions = {}): Chain {
  checkKeys('sophiaG', options, keys);
  const { learningRate = 1e-4, weightDecay = 0.1 } = options;
  const beta1 = checkedNumber('beta1', options.beta1 ?? 0.965, { atLeast: 0, below: 1 });
  const beta2 = checkedNumber('beta2', options.beta2 ?? 0.99, { atLeast: 0, below: 1 });
  const rho = checkedNumber('rho', options.rho ?? 0.04, { above: 0 });
  const interval = checkedCount('hessianInterval', options.hessianInterval ?? 10);
  const decayed = addDecayedWeights(weightDecay);
  const rated = scaleByLearningRate(learningRate);
  const transform: Transform = (context, updates) => {
    const { b, state } = context;
    const estimate = hessianEstimate(context);
    const renews = b.greater(
      context.scalar('renewsHessian', (_, kept) => ((kept + 1) % interval === 0 ? 1 : 0)),
      0.5,
    );
    const names = [...updates.values()].map(([name, { dims }]) => [`hessian.${name}`, dims] as const);
    // The estimate is taken at the new parameters, and enters the next step.
    return states(context, new Map(names), (old) => {
      const clipped = updates.map((update, name, { dims }) => {
        const mean = state(`mean.${name}`, dims, (past) => average(b, past, update, beta1));
        const ratio = b.div(mean, b.add(b.mul(old(`hessian.${name}`), rho), epsilon));
        return b.max(b.min(ratio, 1), -1);
      });
      const stepped = rated(context, decayed(context, clipped));
      const parameters = stepped.applied();
      const kept = [...parameters.keys()].map((name) => old(`hessian.${name}`));
      const renewed = b.branch(
        renews,
        (inner) => estimate(inner, parameters).map((each, i) => average(inner, kept[i] ?? each, each, beta2)),
        () => kept,
      );
      const next = new Map([...parameters.keys()].map((name, i) => [`hessian.${name}`, renewed[i] as Value])); // one a name
      return { next, stepped };
    }).stepped;
  };
  return namedChain('sophia-g', transform);
}

/**
 * Return the function that estimates the diagonal of the Hessian of the mean loss L at given parameters, in a branch: for a
 * likelihood with `mean negative log-likelihood of N cases = s·L`, it is N·ĝ²/s with the gradient ĝ of that mean for targets
 * drawn from the model.
 */
function hessianEstimate(
  context: StepContext,
): (b: Builder, parameters: ReadonlyMap<string, Value>) => readonly Value[] {
  const { objective, forward, noise } = context;
  const { loss } = objective;
  const { sampledCotangent, noise: drawn } = unitLikelihood(context.b, loss);
  if (!sampledCotangent || !drawn || !loss.likelihood) {
    throw new OptionError(
      `sophiaG draws targets from the likelihood of a loss, and ${loss.name} has none: use adamw() or another loss`,
    );
  }
  const { cases, scale } = loss.likelihood;
  const targets = noise('targets', drawn.shape(forward.output), drawn.distribution);
  return (b, parameters) => {
    const at = Objective.within(objective, b).evaluate(new Map([...forward.parameters, ...parameters]));
    const { output } = at;
    const cotangent = sampledCotangent(b, at, b.cast(targets, output.dtype));
    const sums = vectorJacobianProduct(b, [{ value: output, cotangent }], [...parameters.values()]);
    return sums.map((sum) => b.mul(b.square(sum), 1 / (cases(output) * scale(output))));
  };
}
