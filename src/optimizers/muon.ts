// Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon): orthogonalized momentum for matrices and kernels.
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import type { Builder } from '../ops/builder.js';
import { checkedCount, checkedNumber, checkKeys, type OptionKeys } from '../options.js';
import { type AdamOptions, adamw } from './adam.js';
import { namedChain } from './chain.js';
import type { Optimizer } from './optimizer.js';
import { isKernel, isMatrix, type ParameterInfo, type ParameterRule, parametersOf } from './parameters.js';
import { partition } from './partition.js';
import type { Schedule } from './schedules.js';
import { addDecayedWeights } from './transforms/decay.js';
import { scaleByLearningRate } from './transforms/learning-rate.js';
import { average } from './transforms/moments.js';
import { checkedNesterov } from './transforms/momentum.js';
import type { Transform } from './transforms/updates.js';

export interface OrthogonalMomentumOptions {
  /** Weight β of the past in the averaged gradient; 0.95 by default. */
  readonly momentum?: number;
  /** Whether to use `g + β(m − g)` instead of the average m; true by default. */
  readonly nesterov?: boolean;
  /** Newton–Schulz iterations; 5 by default. */
  readonly iterations?: number;
}

export interface MuonOptions extends OrthogonalMomentumOptions {
  /** η of the matrices; 0.02 by default. */
  readonly learningRate?: Schedule;
  /** Decoupled weight decay w of the matrices: θ ← θ − η·w·θ; 0 by default. */
  readonly weightDecay?: Schedule;
  /** The parameters that Muon trains: by default all matrices and kernels. Its authors leave out the first and the last layer. */
  readonly matrices?: ParameterRule;
  /** The optimizer of all other parameters; by default AdamW with η = 0.0003, β₂ = 0.95 and without weight decay. */
  readonly rest?: Optimizer;
}

const momentumKeys: OptionKeys<OrthogonalMomentumOptions> = { momentum: true, nesterov: true, iterations: true };
const keys: OptionKeys<MuonOptions> = {
  ...momentumKeys,
  learningRate: true,
  weightDecay: true,
  matrices: true,
  rest: true,
};

/**
 * Return Muon for matrices and kernels, with another optimizer for the rest.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = muon({ learningRate: 0.02, rest: adamw({ learningRate: 0.001 }) });
 */
export function muon(options: MuonOptions = {}): Optimizer {
  checkKeys('muon', options, keys);
  const {
    learningRate = 0.02,
    weightDecay = 0,
    matrices = (parameter) => isMatrix(parameter) || isKernel(parameter),
    rest = muonRest(),
    ...momentum
  } = options;
  const own = namedChain(
    'muon',
    scaleByMuon(momentum),
    addDecayedWeights(weightDecay),
    scaleByLearningRate(learningRate),
  );
  return {
    ...partition([
      [matrices, own],
      ['*', rest],
    ]),
    name: 'muon',
  };
}

/** Return AdamW with the settings of Muon's authors. */
export const muonRest = (options: AdamOptions = {}): Optimizer =>
  adamw({ learningRate: 3e-4, beta2: 0.95, epsilon: 1e-10, weightDecay: 0, ...options });

/**
 * Return the transform that makes the momentum of matrices and kernels orthogonal, times √max(1, outputs/inputs); a kernel is
 * seen as `[outputs, inputs · area]`. Other parameters get the momentum as it is.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * partition([[isMatrix, chain(scaleByMuon(), scaleByLearningRate(0.02))], ['*', adam()]]);
 */
export function scaleByMuon(options: OrthogonalMomentumOptions = {}): Transform {
  checkKeys('scaleByMuon', options, momentumKeys);
  const beta = checkedNumber('momentum', options.momentum ?? 0.95, { atLeast: 0, below: 1 });
  const nesterov = checkedNesterov(options.nesterov, beta) ?? true;
  const iterations = checkedCount('iterations', options.iterations ?? 5);
  return (context, updates) => {
    const { b, state } = context;
    const known = new Map(parametersOf(context).map((parameter) => [parameter.name, parameter]));
    return updates.map((update, name, { dims }) => {
      const mean = state(`momentum.${name}`, dims, (old) => average(b, old, update, beta));
      const direction = nesterov ? b.add(update, b.mul(b.sub(mean, update), beta)) : mean;
      const parameter = known.get(name);
      return parameter && (isMatrix(parameter) || isKernel(parameter))
        ? orthogonal(b, direction, parameter, iterations)
        : direction;
    });
  };
}

/** The quintic whose iterates take singular values of 0 … 1 to about 0.7 … 1.2 (its authors' coefficients). */
const [linear, cubic, quintic] = [3.4445, -4.775, 2.0315];

/** An approximation of the nearest matrix with orthonormal rows or columns, by Newton–Schulz iterations X ← aX + (bA + cA²)X, A = XXᵀ. */
function orthogonal(b: Builder, direction: Value, { dims, outputsFirst }: ParameterInfo, iterations: number): Value {
  const [rows = 1, ...others] = dims;
  const columns = elementCount(others);
  const matrix = b.reshape(direction, [rows, columns]);
  let x = b.div(matrix, b.add(b.sqrt(b.dot(matrix, matrix)), 1e-7));
  const isTall = rows > columns; // then A = XᵀX, the smaller of the two, stands on the right
  for (let i = 0; i < iterations; i++) {
    const a = b.gemm(x, x, undefined, isTall ? { transposeX: true } : { transposeY: true });
    const polynomial = b.gemm(a, a, a, { alpha: quintic, beta: cubic });
    x = isTall ? b.gemm(x, polynomial, x, { beta: linear }) : b.gemm(polynomial, x, x, { beta: linear });
  }
  const [outputs, inputs] = outputsFirst ? [rows, columns] : [columns, rows];
  return b.reshape(b.mul(x, Math.sqrt(Math.max(1, outputs / inputs))), dims);
}
