// The targets of the Fisher information: drawn from the model, those of the data, or all directions of the exact matrix.
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import type { Cases, OutputLikelihood } from '../losses/likelihood.js';
import type { Builder } from '../ops/builder.js';
import { checkedCount, checkKeys, type NoOptions } from '../options.js';

export interface FisherInput {
  readonly b: Builder;
  /** The network on the examples that the curvature is measured on. */
  readonly forward: Cases;
  readonly likelihood: OutputLikelihood;
  /** Draw the random numbers that sampled targets need. */
  noise(dims: readonly number[]): Value;
}

export interface Fisher {
  readonly name: string;
  /** Whether it needs the likelihood of the loss, which not every loss has. */
  readonly needsLikelihood?: true;
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
      const [count = 1, ...others] = likelihood.noise.shape(output);
      const drawn = b.cast(noise([samples * count, ...others]), output.dtype);
      if (samples === 1) return [sampledCotangent(b, forward, drawn)];
      return Array.from({ length: samples }, (_, i) => {
        const own = b.slice(drawn, 0, i * count, (i + 1) * count);
        return b.mul(sampledCotangent(b, forward, own), 1 / Math.sqrt(samples));
      });
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

const noLikelihood = (name: string): OptionError =>
  new OptionError(`${name}() needs the likelihood of a loss, and this loss has none: use empirical()`);
