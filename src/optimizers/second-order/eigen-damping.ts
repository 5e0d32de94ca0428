// Dampings in the eigenbases of the factors: the whole product A⊗G + λI, exactly or with corrected eigenvalues, to any power.
import { averaged, type Decay } from '../../curvature/factors/moving-average.js';
import { smallestScale } from '../../curvature/factors/sides.js';
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkedNumber, checkKeys } from '../../options.js';
import type { StepContext } from '../optimizer.js';
import { checkedObject } from '../options.js';
import type { BlockDirection, BlockGradient, MeasuredBlock } from './block.js';
import { type BlockDamping, rootDampingOf, type WholeDamping } from './damping.js';
import { type BasisOptions, checkedBasis, eigenbases, type SideEigen, spectrumOf, turned } from './eigenbases.js';
import type { KroneckerOperator, PerSide } from './kronecker-operator.js';
import { measuredOperators } from './measured-operators.js';
import { exampleMoments, type Moments } from './moments.js';
import { measuredNow } from './refresh.js';

export interface EigenOptions extends BasisOptions {
  /** p of the direction (F + λI)^p·∇: −1, the natural gradient, by default; −½ whitens gradients. */
  readonly power?: number;
}

/**
 * Return the damping of the whole product A⊗G by eigendecompositions of the factors: with A = Q_A·D_A·Q_Aᵀ and the same of G,
 * `Q_A·[(Q_Aᵀ·V·Q_G) ⊙ (d_A·d_Gᵀ + λ)^p]·Q_Gᵀ`. It is what `tikhonov()` solves by conjugate gradients, without iterations.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = kfac({ damping: eigenvalues({ interval: 10 }), step: scheduled({ learningRate: 0.05 }) });
 * @example
 * const whitening = kfac({ damping: eigenvalues({ power: -0.5 }), step: normalized() });
 */
export function eigenvalues(options: EigenOptions = {}): WholeDamping {
  checkKeys('eigenvalues', options, { interval: true, burnIn: true, power: true });
  const basis = checkedBasis(options);
  const power = checkedPower(options.power);
  return {
    name: 'eigenvalues',
    needsWhole: true,
    precondition(input) {
      const { context, blocks, delta } = input;
      const { operators } = measuredOperators(input, () => new Map());
      const { systems } = inBases(
        context,
        blocks.map((each, i) => ({ each, operator: operators[i] as KroneckerOperator })), // one a block
        basis,
      );
      return systems.map((system) => direction(context.b, system, spectrumOf(context.b, system.eigen), delta, power));
    },
  };
}

export interface EigenCorrectedOptions extends EigenOptions {
  /** Weight ρ of the past in the average of the second moments; 0 uses this batch alone. 0.95 by default. */
  readonly decay?: number;
  /** The second moments: `exampleMoments()` by default, or `gradientMoments()`. */
  readonly moments?: Moments;
}

/**
 * Return eigenvalue-corrected damping, E-KFAC (George et al. 2018, arXiv 1806.03884): in the eigenbases of A and G the products
 * of their eigenvalues are replaced by the second moments of the gradients, the nearest diagonal to the Fisher matrix in
 * these bases. Between two renewals of the bases the moments are averaged; at a renewal they begin with the products.
 * @throws OptionError for unknown options and numbers out of range; when a run begins, if no gradients are measured
 * @example
 * const optimizer = kfac({ damping: eigenCorrected({ interval: 50 }), step: scheduled({ learningRate: 0.05 }) });
 */
export function eigenCorrected(options: EigenCorrectedOptions = {}): WholeDamping {
  checkKeys('eigenCorrected', options, { interval: true, burnIn: true, power: true, decay: true, moments: true });
  const basis = checkedBasis(options);
  const power = checkedPower(options.power);
  const decay = checkedNumber('decay', options.decay ?? 0.95, { atLeast: 0, below: 1 });
  const moments =
    checkedObject('moments', options.moments, 'of', ['exampleMoments', 'gradientMoments']) ?? exampleMoments();
  return {
    name: 'eigenCorrected',
    needsWhole: true,
    measuresAlways: true,
    precondition({ context, factors, delta, measure }) {
      const { b } = context;
      const blocks = measuredNow(measure);
      const operatorOf = factors.begin(context);
      const operators = blocks.map((each) => ({ each, operator: operatorOf(each) }));
      const { systems, renewed } = inBases(context, operators, basis);
      const over: Decay = { keep: b.scalar(decay, dtypeOf(blocks)), take: b.scalar(1 - decay, dtypeOf(blocks)) };
      return systems.map((system) => {
        const products = spectrumOf(b, system.eigen);
        const fresh = momentsOf(b, moments, system);
        if (!fresh) return direction(b, system, products, delta, power);
        const scale = b.max(b.square(rootScaleOf(b, system.operator)), smallestScale); // both factors may be 0
        if (decay === 0) return direction(b, system, b.div(fresh, scale), delta, power);
        const start = b.mul(products, scale);
        // Of the bases before a renewal, the old moments mean nothing.
        const kept = renewed
          ? context.state(`moments.${system.each.block.weight}`, fresh.dims, (old) =>
              averaged(b, b.where(renewed, start, old), fresh, over),
            )
          : averaged(b, start, fresh, over);
        return direction(b, system, b.div(kept, scale), delta, power);
      });
    },
  };
}

const checkedPower = (power = -1): number => checkedNumber('power', power, { atLeast: -2, below: 0 });

/** A block with its factors and their eigenbases. */
interface EigenSystem<Block extends BlockGradient = BlockGradient> {
  readonly each: Block;
  readonly operator: KroneckerOperator;
  readonly eigen: PerSide<SideEigen>;
}

function inBases<Block extends BlockGradient>(
  context: StepContext,
  operators: readonly Omit<EigenSystem<Block>, 'eigen'>[],
  basis: Required<BasisOptions>,
): { readonly systems: readonly EigenSystem<Block>[]; readonly renewed: Value | undefined } {
  const sides = operators.map(({ each, operator }) => ({
    inputs: { name: `A.${each.block.weight}`, side: operator.inputs },
    outputs: { name: `G.${each.block.weight}`, side: operator.outputs },
  }));
  const bases = eigenbases(
    context,
    sides.flatMap(({ inputs, outputs }) => [inputs, outputs]),
    basis,
  );
  return {
    systems: operators.map((each, i) => {
      const { inputs, outputs } = sides[i] as (typeof sides)[number]; // one an operator
      return { ...each, eigen: { inputs: bases.of(inputs), outputs: bases.of(outputs) } };
    }),
    renewed: bases.renewed,
  };
}

/** Smaller roots of scales count as this in powers below −1, which would be infinite for a layer without curvature. */
const smallestUnit = 1e-12;

/** √(s_A·s_G): the root of the product's mean eigenvalue. */
const rootScaleOf = (b: Builder, { inputs, outputs }: KroneckerOperator): Value =>
  b.mul(inputs.rootScale, outputs.rootScale);

/**
 * λ·(F + λI)^p·V, given the eigenvalues of F in units of its mean eigenvalue s: δ²·s^(1+p)·(F̂ + δ²I)^p·V.
 */
function direction(
  b: Builder,
  { each, operator, eigen }: EigenSystem,
  spectrum: Value,
  delta: BlockDamping,
  power: number,
): BlockDirection {
  const own = delta(b, operator);
  const square = b.square(own);
  const damped = b.add(spectrum, square);
  const rootScale = rootScaleOf(b, operator);
  const bounded = power < -1 ? b.max(rootScale, smallestUnit) : rootScale;
  const unit = (): Value => b.mul(square, b.pow(bounded, 2 + 2 * power));
  const factors = power === -1 ? b.div(square, damped) : b.mul(b.pow(damped, power), unit());
  const seen = turned(b, each.smoothed.joined(b), eigen, false);
  const back = turned(b, b.mul(seen, factors), eigen, true);
  return { ...each, direction: each.smoothed.split(b, back), rootDamping: rootDampingOf(b, own, operator) };
}

/** The second moments of a block in its bases; undefined for a block of which only G is measured: A = I is exact by definition. */
function momentsOf(
  b: Builder,
  moments: Moments,
  { each: { block, rows }, eigen }: EigenSystem<MeasuredBlock>,
): Value | undefined {
  if (block.factor === 'identity') return undefined;
  if (rows.examples) return moments.of(b, rows.examples(), eigen);
  throw new OptionError(
    `eigenCorrected() measures gradients of examples, and the fisher measures inputs alone: use eigenvalues()`,
  );
}

const dtypeOf = ([first]: readonly BlockGradient[]) => first?.gradient.weight.dtype ?? 'float32';
