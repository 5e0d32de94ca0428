// AdaGrad (Duchi et al. 2011, JMLR 12, figure 1, diagonal): each element's rate falls with the root of its squared gradients.
import { elementCount, tensor } from '../graph/tensor.js';
import { checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { type Chain, namedChain } from './chain.js';
import type { Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import type { Transform } from './transforms/updates.js';

export interface SquareSumOptions {
  /** Number added to the root; 1e-10 by default. */
  readonly epsilon?: number;
  /** The sum of squares before the first step; 0 by default. */
  readonly initialSum?: number;
}

export interface AdagradOptions extends SquareSumOptions {
  /** η; 0.01 by default. */
  readonly learningRate?: Schedule;
  /** Decoupled weight decay w: θ ← θ − η·w·θ; 0 by default. */
  readonly weightDecay?: Schedule;
}

const sumKeys: OptionKeys<SquareSumOptions> = { epsilon: true, initialSum: true };
const keys: OptionKeys<AdagradOptions> = { ...sumKeys, learningRate: true, weightDecay: true };

/**
 * Return AdaGrad.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = adagrad({ learningRate: 0.05 });
 */
export function adagrad(options: AdagradOptions = {}): Chain {
  checkKeys('adagrad', options, keys);
  const { learningRate = 0.01, weightDecay = 0, ...sums } = options;
  return namedChain('adagrad', scaleByAdagrad(sums), addDecayedWeights(weightDecay), scaleByLearningRate(learningRate));
}

/**
 * Return the transform `s ← s + u²; u ← u/(√s + ε)`.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * chain(scaleByAdagrad(), scaleByLearningRate(0.05));
 */
export function scaleByAdagrad(options: SquareSumOptions = {}): Transform {
  checkKeys('scaleByAdagrad', options, sumKeys);
  const epsilon = checkedNumber('epsilon', options.epsilon ?? 1e-10, { above: 0 });
  const initialSum = checkedNumber('initialSum', options.initialSum ?? 0, { atLeast: 0 });
  return ({ b, state }, updates) =>
    updates.map((update, name, { dims }) => {
      const initial = tensor('float32', dims, new Float32Array(elementCount(dims)).fill(initialSum));
      const sum = state(`sum.${name}`, dims, (old) => b.add(old, b.square(update)), initial);
      return { numerator: update, denominator: b.add(b.sqrt(sum), epsilon) };
    });
}
