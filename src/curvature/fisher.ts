// The curvature of the output: targets drawn from the model or those of the data, all or random columns of its exact root, or
// none, so that only the inputs of layers are measured.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Cases, OutputLikelihood } from '../losses/likelihood.js';
import type { Distribution } from '../losses/loss.js';
import type { Builder } from '../ops/builder.js';
import { checkedCount, checkKeys, type NoOptions } from '../options.js';

export interface FisherInput {
  readonly b: Builder;
  /** The network on the examples that the curvature is measured on. */
  readonly forward: Cases;
  readonly likelihood: OutputLikelihood;
  /** Draw fresh random numbers for each step; called at most once. */
  noise(dims: readonly number[], distribution: Distribution): Value;
}

/**
 * The curvature of the outputs that reaches the layers as `G`.
 * @example
 * // Half of the empirical matrix and half of the exact one:
 * const mixed: Fisher = {
 *   name: 'mixed',
 *   needsLikelihood: true,
 *   cotangents: (input) =>
 *     [empirical(), exact()].flatMap((each) => each.cotangents(input).map((c) => input.b.mul(c, Math.SQRT1_2))),
 * };
 * const optimizer = cgfac({ fisher: mixed, curvatureRows: 8 });
 */
export interface Fisher {
  readonly name: string;
  /** Whether it needs the likelihood of the loss, which not every loss has. */
  readonly needsLikelihood?: true;
  /** Whether G is the identity: only the inputs of layers are measured, and `cotangents` is not called. */
  readonly inputsAlone?: true;
  /**
   * Whether each cotangent is one column of a root of each case's Hessian. Then cotangents of several cases of an example cannot
   * be added up, as those of independent draws can, whose products vanish in the mean.
   */
  readonly isRoot?: true;
  /**
   * Return cotangents of the output, each in its shape, for one backward pass each. The sum of the outer products of a case's
   * cotangents, or its expectation, is the Fisher matrix of the case.
   */
  cotangents(input: FisherInput): readonly Value[];
}

export interface SampledOptions {
  /** Number of targets drawn for each case, with one backward pass each; 1 by default. */
  readonly samples?: number;
}

/**
 * Return the Fisher matrix of targets drawn from the model's distribution: an unbiased estimate of the true one (Martens &
 * Grosse 2015, section 5).
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ fisher: sampled({ samples: 4 }) });
 */
export function sampled(options: SampledOptions = {}): Fisher {
  checkKeys('sampled', options, { samples: true });
  const samples = checkedCount('samples', options.samples ?? 1);
  return {
    name: 'sampled',
    needsLikelihood: true,
    cotangents({ b, forward, likelihood, noise }) {
      const { output } = forward;
      const { sampledCotangent } = likelihood;
      if (!sampledCotangent || !likelihood.noise) throw noLikelihood('sampled');
      const { distribution, shape } = likelihood.noise;
      const draws = drawn(b, samples, shape(output), (dims) => b.cast(noise(dims, distribution), output.dtype));
      return meanOver(b, draws, (draw) => sampledCotangent(b, forward, draw));
    },
  };
}

/**
 * Return the Fisher matrix of the targets of the data: the empirical one.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = cgfac({ fisher: empirical() });
 */
export function empirical(options: NoOptions = {}): Fisher {
  checkKeys('empirical', options, {});
  return {
    name: 'empirical',
    cotangents: ({ b, forward, likelihood }) => [likelihood.cotangent(b, forward)],
  };
}

/**
 * Return the generalized Gauss–Newton matrix: all columns of the output's Hessian root, with one backward pass each.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = cgfac({ fisher: exact(), curvatureRows: 8 });
 */
export function exact(options: NoOptions = {}): Fisher {
  checkKeys('exact', options, {});
  return {
    name: 'exact',
    needsLikelihood: true,
    isRoot: true,
    cotangents({ b, forward, likelihood }) {
      if (!likelihood.hessianRoot) throw noLikelihood('exact');
      return likelihood.hessianRoot(b, forward);
    },
  };
}

/**
 * Return an unbiased estimate of the generalized Gauss–Newton matrix by curvature propagation: with a root S of the output's
 * Hessian and independent random signs v of each case, E[(Sv)(Sv)ᵀ] = S·Sᵀ (Martens, Sutskever & Swersky 2012, arXiv
 * 1206.6464). It takes one backward pass a sample, as sampled targets do, and has less variance if the Hessian is diagonal.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ fisher: curvaturePropagation({ samples: 2 }) });
 */
export function curvaturePropagation(options: SampledOptions = {}): Fisher {
  checkKeys('curvaturePropagation', options, { samples: true });
  const samples = checkedCount('samples', options.samples ?? 1);
  return {
    name: 'curvaturePropagation',
    needsLikelihood: true,
    cotangents({ b, forward, likelihood, noise }) {
      if (!likelihood.hessianRoot) throw noLikelihood('curvaturePropagation');
      const { output } = forward;
      const columns = likelihood.hessianRoot(b, forward);
      const [cases = 1, ...ones] = caseDims(output.dims, likelihood.cases(output));
      // The signs of the columns lie side by side along the first axis.
      const signs = drawn(b, samples, [columns.length * cases, ...ones], (dims) =>
        b.cast(noise(dims, 'sign'), output.dtype),
      );
      return meanOver(b, signs, (own) =>
        columns
          .map((column, k) => b.mul(column, b.slice(own, 0, k * cases, (k + 1) * cases)))
          .reduce((sum, each) => b.add(sum, each)),
      );
    },
  };
}

/**
 * Return the curvature of the inputs alone, G = I: the step of a layer is (A + λI)⁻¹∇, gradient descent on its outputs (FOOF:
 * Benzing 2022, arXiv 2201.12250). It takes no backward pass and no likelihood. Both dampings are the same then, by inverses
 * or by conjugate gradients.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = cgfac({ fisher: inputOnly(), step: scheduled({ learningRate: 0.05, damping: 0.1, klClip: 0 }) });
 */
export function inputOnly(options: NoOptions = {}): Fisher {
  checkKeys('inputOnly', options, {});
  return { name: 'inputOnly', inputsAlone: true, cotangents: () => [] };
}

/**
 * Return the cotangents of a Fisher matrix, none if it measures the inputs alone.
 * @throws OptionError if a Fisher matrix of a user's own has no cotangents, or ones of another shape than the output
 */
export function cotangentsOf(fisher: Fisher, input: FisherInput): readonly Value[] {
  if (fisher.inputsAlone) return [];
  const { output } = input.forward;
  const cotangents = fisher.cotangents(input);
  const wrong = cotangents.find(({ dims }) => dims.join() !== output.dims.join());
  if (cotangents.length > 0 && !wrong) return cotangents;
  const found = wrong ? `a cotangent [${wrong.dims.join(', ')}]` : 'no cotangent';
  throw new OptionError(
    `fisher '${fisher.name}' returns ${found}; return at least one, each in the shape of the output, [${output.dims.join(', ')}], or set inputsAlone`,
  );
}

/** Return random numbers of one shape for each sample, drawn together along the first axis. */
function drawn(
  b: Builder,
  samples: number,
  [count = 1, ...others]: readonly number[],
  noise: (dims: readonly number[]) => Value,
): readonly Value[] {
  const all = noise([samples * count, ...others]);
  return Array.from({ length: samples }, (_, i) => b.slice(all, 0, i * count, (i + 1) * count));
}

/** Return a cotangent for each draw, so that the sum of their outer products is the mean over the draws. */
const meanOver = (b: Builder, draws: readonly Value[], cotangent: (draw: Value) => Value): readonly Value[] =>
  draws.map((draw) => (draws.length === 1 ? cotangent(draw) : b.mul(cotangent(draw), 1 / Math.sqrt(draws.length))));

/** The first axes of an output hold its cases: return their sizes, and 1 for each further axis. */
function caseDims(dims: readonly number[], cases: number): readonly number[] {
  const product = (length: number): number => dims.slice(0, length).reduce((x, y) => x * y, 1);
  const length = dims.findIndex((_, axis) => product(axis + 1) === cases) + 1;
  if (length > 0) return dims.map((size, axis) => (axis < length ? size : 1));
  throw new OptionError(
    `curvaturePropagation() needs cases along the first axes of the output; the loss has ${cases} cases in an output [${dims.join(', ')}]: use sampled()`,
  );
}

const noLikelihood = (name: string): OptionError =>
  new OptionError(`${name}() needs the likelihood of a loss, and this loss has none: use empirical()`);
