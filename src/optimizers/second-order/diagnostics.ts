// What a step tells of each layer beside what it does: reports of factors, solves and steps, computed only if asked for.
import { elementDot, traceOf } from '../../curvature/factors/matrices.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { Value } from '../../graph/graph.js';
import { layerReport } from '../../layer-report.js';
import type { Builder } from '../../ops/builder.js';
import { checkKeys, type NoOptions } from '../../options.js';
import type { StepContext } from '../optimizer.js';
import type { BlockStep } from '../steps/rule.js';
import type { BlockDirection } from './block.js';
import type { BlockDamping } from './damping.js';
import type { KroneckerOperator } from './kronecker-operator.js';

/** The Kronecker factors of a block at a step that measures them. */
export interface MeasuredFactors {
  readonly block: KroneckerBlock;
  readonly operator: KroneckerOperator;
  /** The damping of the step, for a block of given scales. */
  readonly delta: BlockDamping;
}

/** A block with its natural gradient and with the step δ that was made of it. */
export type BlockOutcome = BlockDirection & BlockStep;

/**
 * Reports what a step does in each layer. What is reported must not change the step.
 * @example
 * // The length of each layer's natural gradient:
 * const lengths: Diagnostics = {
 *   name: 'lengths',
 *   step({ b, report }, { block, direction }) {
 *     report(`directionLength[${block.weight}]`, b.sqrt(direction.dot(b, direction)));
 *   },
 * };
 * const optimizer = cgfac({ diagnostics: lengths });
 */
export interface Diagnostics {
  readonly name: string;
  /** Whether `step` is to get what the solve of its own took, if conjugate gradients solve blocks: `solve`. */
  readonly readsSolves?: true;
  /**
   * Report on the factors of a block. The context is that of the steps that measure them: at others, the reports are NaN, "not
   * measured". Dampings that take the rows of a batch alone have the factors of these rows.
   */
  factors?(context: StepContext, measured: MeasuredFactors): void;
  /** Report on the step of a block. */
  step(context: StepContext, outcome: BlockOutcome): void;
}

/**
 * Return the reports of each layer, each named with the layer's weight, such as `cosine[fc1.weight]`. Of every step:
 *
 * - `cosine`: −⟨∇, δ⟩/(|∇|·|δ|) of the gradient and the step; 1 is steepest descent
 * - `linearChange`: ⟨∇, δ⟩, the change of the loss that the gradient predicts for the step
 * - `stepLength`: the root mean square of the elements of δ
 * - `damping`: λ
 * - `iterations`, `residual`: of the layer's own solve, if conjugate gradients solve it
 *
 * and of steps that measure the curvature:
 *
 * - `pi`: π = √((tr A/m)/(tr G/n)) (Martens & Grosse 2015, section 6.3), left out if G is the identity
 * - `dampingRatio`: λ over the mean eigenvalue of A⊗G
 * - `effectiveRank.A`, `effectiveRank.G`: (tr F)²/tr F² of the factor F as it is held, a sketch or the factor itself: the number
 *   of equal eigenvalues that would have this ratio
 *
 * Of a layer of several groups they are means over the groups, of its solve the most. The step is the same as without reports.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = cgfac({ diagnostics: layerDiagnostics() });
 */
export function layerDiagnostics(options: NoOptions = {}): Diagnostics {
  checkKeys('layerDiagnostics', options, {});
  return {
    name: 'layerDiagnostics',
    readsSolves: true,
    factors({ b, report }, { block, operator, delta }) {
      const { inputs, outputs } = operator;
      const tell = (measure: string, value: Value) => report(layerReport(measure, block.weight), meanOf(b, value));
      if (!outputs.identity) tell('pi', b.div(inputs.rootScale, outputs.rootScale));
      tell('dampingRatio', b.square(delta(b, operator)));
      tell('effectiveRank.A', effectiveRank(b, inputs.kernel(b)));
      if (!outputs.identity) tell('effectiveRank.G', effectiveRank(b, outputs.kernel(b)));
    },
    step({ b, report }, { block, gradient, step, rootDamping, solve }) {
      const tell = (measure: string, value: Value) => report(layerReport(measure, block.weight), value);
      const along = gradient.dot(b, step);
      const squares = { gradient: gradient.dot(b, gradient), step: step.dot(b, step) };
      tell('cosine', b.neg(b.div(along, b.mul(b.sqrt(squares.gradient), b.sqrt(squares.step)))));
      tell('linearChange', along);
      const size = block.groups * block.inputs * block.outputs + block.biasSize;
      tell('stepLength', b.sqrt(b.mul(squares.step, 1 / size)));
      tell('damping', meanOf(b, b.square(rootDamping)));
      if (!solve) return;
      tell('iterations', solve.iterations);
      tell('residual', solve.residual);
    },
  };
}

/** The mean of a number over the groups of a block. */
const meanOf = (b: Builder, value: Value): Value => (value.rank === 0 ? value : b.mean(value));

/** (tr K)²/tr K² of a symmetric matrix, of each matrix of a batch, or of a diagonal. */
function effectiveRank(b: Builder, kernel: Value): Value {
  const trace = kernel.rank === 1 ? b.sum(kernel) : traceOf(b, kernel);
  return b.div(b.square(trace), elementDot(b, kernel, kernel));
}
