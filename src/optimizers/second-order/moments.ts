// The second moments of gradients in the eigenbases of a block's factors: of single examples, or of their sum.
import type { FormedGradients } from '../../curvature/formed-gradients.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkKeys, type NoOptions } from '../../options.js';
import type { SideEigen } from './eigenbases.js';
import type { PerSide } from './kronecker-operator.js';

export interface Moments {
  readonly name: string;
  /** Return the second moments in the given bases, `[inputs (+1), outputs]`, with a leading axis for several groups. */
  of(b: Builder, examples: FormedGradients, eigen: PerSide<SideEigen>): Value;
}

/** Matrices that turn rows; none on a side whose factor is a diagonal. */
const basesOf = ({ inputs, outputs }: PerSide<SideEigen>) => ({ inputs: inputs.vectors, outputs: outputs.vectors });

/**
 * Return the moments of the gradients of single examples (George et al. 2018, algorithm 1). Of a sequence or an image, whose
 * examples have many rows, all gradients are formed: r·m·n numbers for r examples.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = kfac({ damping: eigenCorrected({ moments: exampleMoments(), decay: 0 }) });
 */
export function exampleMoments(options: NoOptions = {}): Moments {
  checkKeys('exampleMoments', options, {});
  return { name: 'exampleMoments', of: (_, examples, eigen) => examples.squares(basesOf(eigen)) };
}

/**
 * Return the square of the sum of the examples' gradients, over their number: cheap for convolutions and sequences. Its
 * expectation are the moments of single examples if their gradients have the mean 0, as those of sampled targets have; it is
 * noisier, so average it over many steps.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = kfac({ damping: eigenCorrected({ moments: gradientMoments(), decay: 0.99 }) });
 */
export function gradientMoments(options: NoOptions = {}): Moments {
  checkKeys('gradientMoments', options, {});
  return { name: 'gradientMoments', of: (_, examples, eigen) => examples.squaredSums(basesOf(eigen)) };
}
