// Convolutions: a dense layer at each position, on the patch under the kernel (Grosse & Martens 2016, arXiv 1602.01407).
// Each group of channels is a separate layer; depthwise convolutions have as many groups as channels.
import { inputOf, intAttribute } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { isNode } from '../../graph/uses.js';
import { patches } from '../../ops/spatial/patches.js';
import { windowAxes } from '../../ops/spatial/windows.js';
import type { Application, LayerKind, Reading } from './layer-kind.js';

/** Most rows of patches in a factor of one layer, but at least those of one example: neighbouring patches overlap. */
const maximumPatchRows = 16_384;

/** Return how many of the first examples represent all, given the positions of an example's patches. */
export const patchedExamples = (examples: number, positions: readonly number[]): number =>
  Math.min(examples, Math.max(1, Math.floor(maximumPatchRows / elementCount(positions))));

export const convolution: LayerKind = {
  kind: 'convolution',
  factor: 'full',
  decays: true,
  match,
  inputRows(b, { node, activations, preActivations, groups }) {
    const [examples = 1, , ...positions] = preActivations.dims;
    const taken = b.slice(activations, 0, 0, patchedExamples(examples, positions));
    const axes = windowAxes(node, activations.dims.slice(2), inputOf(node, 1).dims.slice(2));
    return patches(b, taken, axes, groups);
  },
  describe({ groups, uses: [{ node }] }) {
    if (groups === 1) return 'convolution';
    return inputOf(node, 1).dims[1] === 1 ? 'depthwise convolution' : `convolution, ${groups} groups`;
  },
};

function match({ node, value }: Reading): Application | string | undefined {
  if (!isNode(node, 'Conv')) return undefined;
  if (node.inputs[2] === value) return 'the bias of a convolution without a block';
  if (node.inputs[1] !== value) return undefined;
  const [activations] = node.inputs;
  if (!activations || activations === value) return 'convolved with itself';
  const [channels = 0, ...field] = value.dims;
  const groups = intAttribute(node, 'group', 1);
  return {
    node,
    activations,
    groups,
    inputs: elementCount(field),
    outputs: channels / groups,
    outputsFirst: true,
    outputAxes: [1, 2],
    biasDims: [channels],
    addsBias: true,
  };
}
