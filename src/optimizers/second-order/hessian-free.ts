// Hessian-free optimization (Martens 2010): conjugate gradients for the whole network, with products of the exact Gauss–Newton
// matrix and without a Kronecker approximation.

import { scaledInputRows, scaledOutputRows } from '../../curvature/factors/sides.js';
import { GaussNewton } from '../../curvature/gauss-newton.js';
import { LayerTensor } from '../../curvature/layer-tensor.js';
import type { Value } from '../../graph/graph.js';
import { checkedFlag, checkKeys, type OptionKeys } from '../../options.js';
import { conjugateGradient } from '../../solvers/conjugate-gradient.js';
import { type Optimizer, states } from '../optimizer.js';
import { stateNames, stateParts, stateShapes } from '../steps/rule.js';
import type { BlockDirection, MeasuredBlock } from './block.js';
import { checkedSolve, reportSolves, type SolveOptions, solveKeys } from './convergence.js';
import { type DampingInput, type RowDamping, rootDampingOf } from './damping.js';
import { sketches } from './factors.js';
import { refuseNested } from './parts.js';
import { type SecondOrderOptions, secondOrder, secondOrderKeys } from './second-order.js';

export interface HessianFreeOptions extends Omit<SecondOrderOptions, 'fisher'>, SolveOptions {
  /** Start each solve from the last step's solution; true by default. */
  readonly warmStart?: boolean;
}

const { fisher: _, ...sharedKeys } = secondOrderKeys;
const keys: OptionKeys<HessianFreeOptions> = { ...sharedKeys, ...solveKeys, warmStart: true };

/**
 * Return the optimizer of Hessian-free steps: (F + λI)x = ∇ by conjugate gradients on all blocks together, with the exact
 * Gauss–Newton matrix F of the examples that the curvature is measured on (Martens 2010). Self-tuning steps add the damping
 * of Levenberg and Marquardt. It is a reference in numbers of steps: each iteration takes two forward and two backward passes.
 * @throws OptionError for unknown options, and for options that have no effect together
 * @example
 * const optimizer = hessianFree({ maxIterations: 30, step: selfTuning({ damping: 10 }) });
 */
export function hessianFree(options: HessianFreeOptions = {}): Optimizer {
  refuseNested('hessianFree', options, keys);
  checkKeys('hessianFree', options, keys);
  const { maxIterations, stopping, warmStart, ...shared } = options;
  const solve = checkedSolve({ ...(maxIterations !== undefined && { maxIterations }), ...(stopping && { stopping }) });
  const isWarm = checkedFlag('warmStart', warmStart) ?? true;
  return secondOrder('hessian-free', { damping: wholeNetworkSolve(solve, isWarm), factors: sketches() }, shared);
}

const wholeNetworkSolve = (solve: Required<SolveOptions>, isWarm: boolean): RowDamping => ({
  name: 'hessian-free',
  usesRows: true,
  precondition(input) {
    const { context } = input;
    const { blocks } = input.measure((_, measured) => ({ blocks: measured, keeps: new Map() })).made;
    const members = blocks.map((each) => dampedBlock(input, each));
    const shapes = new Map(members.flatMap(({ block, smoothed }) => stateShapes('solution', block, smoothed)));
    const solved = isWarm
      ? states(context, shapes, (old) => {
          const initial = members.map(({ block, smoothed }) => {
            const names = stateNames('solution', block);
            return smoothed.mapNamed((_part, kind) => old(names[kind]));
          });
          const run = solution(input, members, solve, initial);
          const next = new Map(
            members.flatMap(({ block }, i) => stateParts('solution', block, run.value[i] as LayerTensor)),
          );
          return { ...run, next }; // one a block
        })
      : solution(input, members, solve);
    reportSolves(context, [solved], solve);
    return members.map(({ damping, ...each }, i) => {
      const x = solved.value[i] as LayerTensor; // one a block
      return { ...each, direction: x.map((part) => context.b.mul(part, damping)) };
    });
  },
});

/** A block with its λ. */
interface DampedBlock extends Omit<BlockDirection, 'direction'> {
  /** A scalar, or `[groups, 1, 1]`. */
  readonly damping: Value;
}

/** The damping in units of the mean eigenvalue that the rows of the block tell. */
function dampedBlock({ context: { b }, delta }: DampingInput, { rows, ...each }: MeasuredBlock): DampedBlock {
  const { inputs, outputs } = rows;
  const scales = {
    inputs: scaledInputRows(b, inputs, each.block.inputs + (inputs.homogeneous ? 1 : 0)),
    outputs: scaledOutputRows(b, outputs),
  };
  const rootDamping = rootDampingOf(b, delta(b, scales), scales);
  return { ...each, rootDamping, damping: b.square(rootDamping) };
}

/** The solution x of (F + Λ)x = V, with the Hessians of the priors in F. */
function solution(
  { context: { b }, sample }: DampingInput,
  members: readonly DampedBlock[],
  options: Required<SolveOptions>,
  initial?: readonly LayerTensor[],
) {
  const network = new GaussNewton(
    b,
    sample(),
    members.map(({ block }) => block),
  );
  const partsOf = (v: readonly LayerTensor[]): Value[] =>
    v.flatMap(({ weight, bias }) => (bias ? [weight, bias] : [weight]));
  const tensorsOf = (parts: readonly Value[]): LayerTensor[] => {
    const rest = [...parts];
    return members.map(({ smoothed: { bias, outputsFirst } }) => {
      const [weight, shift] = [rest.shift() as Value, bias && rest.shift()]; // as many parts as in `partsOf`
      return new LayerTensor(weight, shift, outputsFirst);
    });
  };
  const { value, ...run } = conjugateGradient(b, {
    operator(inner, parts) {
      const x = tensorsOf(parts);
      const curved = network.times(
        inner,
        members.map(({ block }, i) => ({ block, step: x[i] as LayerTensor })), // one a block
      );
      const images = members.map(({ damping, prior }, i) => {
        const own = x[i] as LayerTensor; // one a block
        const damped = (curved[i] as LayerTensor).map((part, z) => inner.add(part, inner.mul(z, damping)), own);
        return prior?.addedProduct(inner, damped, own) ?? damped;
      });
      return partsOf(images);
    },
    rightHandSide: partsOf(members.map(({ smoothed }) => smoothed)),
    ...options,
    ...(initial && { initial: partsOf(initial) }),
  });
  return { ...run, value: tensorsOf(value) };
}
