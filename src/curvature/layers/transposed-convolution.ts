// Transposed convolutions: a dense layer at each position of the input, s = x·W with W `[channels, outputs · kernel area]`,
// whose s are then added up where the kernels' windows overlap. The layer ends at s, since the rest is linear: the gradient
// by s is the patch of the output's gradient under the kernel. So it is a convolution with input and output interchanged.
import { inputOf } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { isNode } from '../../graph/uses.js';
import { adjointAxes } from '../../ops/spatial/convolution.js';
import { patches } from '../../ops/spatial/patches.js';
import { kernelReading, patchedExamples } from './convolution.js';
import { type Application, axisRows, type LayerKind, type Reading } from './layer-kind.js';

/** Its bias is added after the windows, not to s, so it is a separate block (`shift`). */
export const transposedConvolution: LayerKind = {
  kind: 'transposed convolution',
  factor: 'full',
  decays: true,
  match,
  inputRows: (b, { activations, groups }) => axisRows(b, activations, [1, 2], groups),
  outputRows(b, { node, activations, groups }, cotangent) {
    const [examples = 1, , ...positions] = activations.dims;
    const taken = patchedExamples(examples, positions);
    const axes = adjointAxes(node, positions, inputOf(node, 1).dims.slice(2));
    const rows = patches(b, b.slice(cotangent, 0, 0, taken), axes, groups);
    // G is a sum over examples, not a mean: some examples represent all.
    return b.mul(rows, Math.sqrt(examples / taken));
  },
  describe: ({ groups }) => (groups === 1 ? 'transposed convolution' : `transposed convolution, ${groups} groups`),
};

function match(reading: Reading): Application | string | undefined {
  const { node } = reading;
  const kernel = isNode(node, 'ConvTranspose') ? kernelReading(reading) : undefined;
  if (typeof kernel !== 'object') return kernel;
  const { activations, groups, channels, field } = kernel;
  return {
    node,
    activations,
    groups,
    inputs: channels / groups,
    outputs: elementCount(field),
    outputsFirst: false,
    outputAxes: [1, 2],
  };
}
