// Convolutions: a dense layer at each position, on the patch under the kernel (Grosse & Martens 2016, arXiv 1602.01407).
// Each group of channels is a separate layer; depthwise convolutions have as many groups as channels.
import { inputOf, intAttribute, type Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { isNode } from '../../graph/uses.js';
import { patches } from '../../ops/spatial/patches.js';
import { windowAxes } from '../../ops/spatial/windows.js';
import type { Application, LayerKind, LayerUse, Reading } from './layer-kind.js';

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
  rowExamples: examplesOf,
  inputRows(b, use) {
    const { node, activations, groups } = use;
    const taken = b.slice(activations, 0, 0, examplesOf(use));
    const axes = windowAxes(node, activations.dims.slice(2), inputOf(node, 1).dims.slice(2));
    return patches(b, taken, axes, groups);
  },
  describe({ groups, uses: [{ node }] }) {
    if (groups === 1) return 'convolution';
    return inputOf(node, 1).dims[1] === 1 ? 'depthwise convolution' : `convolution, ${groups} groups`;
  },
};

function examplesOf({ preActivations }: LayerUse): number {
  const [examples = 1, , ...positions] = preActivations.dims;
  return patchedExamples(examples, positions);
}

/** What a node applies a kernel to, and the groups and sizes of the kernel `[channels, …field]`. */
interface KernelReading {
  readonly activations: Value;
  readonly groups: number;
  readonly channels: number;
  readonly field: readonly number[];
}

/** Return how a node applies a value as its kernel, why it cannot be a block, or undefined if it does not. */
export function kernelReading({ node, value }: Reading): KernelReading | string | undefined {
  if (node.inputs[1] !== value) return undefined;
  const [activations] = node.inputs;
  if (!activations || activations === value) return 'convolved with itself';
  const [channels = 0, ...field] = value.dims;
  return { activations, groups: intAttribute(node, 'group', 1), channels, field };
}

function match(reading: Reading): Application | string | undefined {
  const { node, value } = reading;
  if (!isNode(node, 'Conv')) return undefined;
  if (node.inputs[2] === value) return 'the bias of a convolution without a block';
  const kernel = kernelReading(reading);
  if (typeof kernel !== 'object') return kernel;
  const { activations, groups, channels, field } = kernel;
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
