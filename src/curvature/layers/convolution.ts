// Convolutions: a dense layer at each position, on the patch that the kernel sees there (Grosse & Martens 2016, arXiv
// 1602.01407).
import { intAttribute } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { patches } from '../../ops/spatial/patches.js';
import { type Application, isNode, type LayerKind, type Reading } from './layer-kind.js';

/**
 * Rows of patches of one convolution that its factor A is made of, at most (but one example's at least): the patches of
 * the first examples stand for those of all. A patch is as large as its kernel, and neighbours overlap.
 */
const maximumPatchRows = 16_384;

export const convolution: LayerKind = {
  kind: 'convolution',
  factor: 'full',
  decays: true,
  match,
  inputRows(b, { node, activations, preActivations }) {
    const [examples = 1, , ...positions] = preActivations.dims;
    const taken = Math.min(examples, Math.max(1, Math.floor(maximumPatchRows / elementCount(positions))));
    return patches(b, b.slice(activations, 0, 0, taken), node);
  },
};

function match({ node, value }: Reading): Application | string | undefined {
  if (isNode(node, 'ConvTranspose') && node.inputs[1] === value) return 'the weight of a transposed convolution';
  if (isNode(node, 'ConvTranspose') && node.inputs[2] === value) return 'the bias of a transposed convolution';
  if (!isNode(node, 'Conv')) return undefined;
  const groups = intAttribute(node, 'group', 1);
  const suffix = groups === 1 ? 'without a block' : `with ${groups} groups`;
  if (node.inputs[2] === value) return `the bias of a convolution ${suffix}`;
  if (node.inputs[1] !== value) return undefined;
  if (groups !== 1) return `the weight of a convolution with ${groups} groups`;
  const [activations] = node.inputs;
  if (!activations || activations === value) return 'convolved with itself';
  const [outputs = 0, ...field] = value.dims;
  return {
    node,
    activations,
    inputs: elementCount(field),
    outputs,
    outputsFirst: true,
    outputAxes: [1, 2],
    biasDims: [outputs],
    addsBias: true,
  };
}
