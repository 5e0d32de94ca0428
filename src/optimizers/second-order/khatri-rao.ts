// The damped Fisher matrix of the examples themselves, without a Kronecker approximation, by the identity of Woodbury:
// λ(JᵀJ + λI)⁻¹V = V − Jᵀ(JJᵀ + λI)⁻¹J·V, where J has a row for each example, which is never formed.

import { type ExampleJacobian, exampleJacobians } from '../../curvature/example-jacobian.js';
import { traceOf } from '../../curvature/factors/matrices.js';
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkKeys, type NoOptions } from '../../options.js';
import type { BlockDirection, BlockGradient } from './block.js';
import type { BlockDamping, RowDamping } from './damping.js';
import { type DampedKernel, invertedKernels } from './kronecker-operator.js';

/**
 * Divides the blocks of a network into the systems of equations that are solved. Layers of one system have the Fisher matrix
 * of their interactions, layers of different systems have none.
 * @example
 * // The last two layers together, each of the others alone:
 * const lastTwo: Coupling = {
 *   name: 'the last two layers',
 *   systems: (blocks) => [...blocks.slice(0, -2).map((block) => [block]), blocks.slice(-2)],
 * };
 * const optimizer = naturalGradient({ coupling: lastTwo });
 */
export interface Coupling {
  readonly name: string;
  /** Return groups of the blocks; each block is in one. */
  systems<Block>(blocks: readonly Block[]): readonly (readonly Block[])[];
}

/**
 * Return the coupling of all layers: one system, with the exact Fisher matrix (Ren & Goldfarb 2019, arXiv 1906.02353).
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = naturalGradient({ coupling: wholeNetwork() });
 */
export function wholeNetwork(options: NoOptions = {}): Coupling {
  checkKeys('wholeNetwork', options, {});
  return { name: 'whole network', systems: (blocks) => [blocks] };
}

/**
 * Return the coupling of no layers: one system for each, with the exact diagonal blocks of the Fisher matrix (TENGraD: Soori et
 * al. 2021, arXiv 2106.03947).
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = naturalGradient({ coupling: eachLayer() });
 */
export function eachLayer(options: NoOptions = {}): Coupling {
  checkKeys('eachLayer', options, {});
  return { name: 'each layer', systems: (blocks) => blocks.map((block) => [block]) };
}

/** λ is at least this share of the trace of F: float32 cannot invert less of JJᵀ, which may be singular. */
const smallestShare = 1e-6;

/** Traces below this count as this: a network without curvature. */
const smallestTrace = 1e-36;

/** Return the damping of the Fisher matrices of a coupling's systems. */
export const khatriRao = (coupling: Coupling): RowDamping => ({
  name: 'khatri-rao',
  usesRows: true,
  isExact: true,
  precondition({ context: { b }, blocks, sample, delta }) {
    const rowsOf = exampleJacobians(
      b,
      sample(),
      blocks.map(({ block }) => block),
    );
    const members = blocks.map((each) => ({ each, rows: rowsOf(each.block) }));
    const systems = coupling.systems(members).map((group) => systemOf(b, group, delta));
    const inverseOf = invertedKernels(b, systems);
    const directions = new Map(
      systems.flatMap((system) => {
        const solution = b.squeeze(b.matmul(inverseOf(system), b.unsqueeze(system.target, [1])), [1]);
        return system.group.map(({ each, rows }): [BlockGradient, BlockDirection] => [
          each,
          { ...each, direction: rows.minusTransposed(each.smoothed, solution), rootDamping: system.rootDamping },
        ]);
      }),
    );
    return blocks.map((each) => {
      const direction = directions.get(each);
      if (direction) return direction;
      throw new OptionError(`coupling '${coupling.name}' has no system with the block of '${each.block.weight}'`);
    });
  },
});

/** A block with its rows of J. */
interface Member {
  readonly each: BlockGradient;
  readonly rows: ExampleJacobian;
}

/** K̂ + δI for K̂ = JJᵀ/s, and J·V/s, where s is the mean of the diagonal of JJᵀ. */
interface System extends DampedKernel {
  readonly group: readonly Member[];
  readonly target: Value;
  /** √λ */
  readonly rootDamping: Value;
}

function systemOf(b: Builder, group: readonly Member[], delta: BlockDamping): System {
  const sumOver = (of: (member: Member) => Value): Value => group.map(of).reduce((x, y) => b.add(x, y));
  const gram = sumOver(({ rows }) => rows.gram());
  const trace = b.max(traceOf(b, gram), smallestTrace);
  const count = gram.dims[0] ?? 1;
  const scale = b.mul(trace, 1 / count);
  const size = group.reduce((sum, { each: { smoothed } }) => sum + smoothed.size, 0);
  const rootMean = b.sqrt(b.mul(trace, 1 / size));
  const one = { rootScale: b.scalar(1, gram.dtype) };
  const own = delta(b, { inputs: { rootScale: rootMean }, outputs: one });
  // δ is in units of the mean eigenvalue of F, s in those of the mean eigenvalue of JJᵀ, which has fewer.
  const damping = b.max(b.mul(b.square(own), count / size), smallestShare * count);
  return {
    group,
    kernel: b.div(gram, scale),
    delta: damping,
    target: b.div(
      sumOver(({ each, rows }) => rows.times(each.smoothed)),
      scale,
    ),
    rootDamping: b.sqrt(b.mul(damping, scale)),
  };
}
