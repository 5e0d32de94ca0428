// Shifts: a bias that cannot belong to the block of a weight, y = x + β. It is a dense layer on the constant 1, so A = 1.
import { isNode } from '../../graph/uses.js';
import type { LayerKind } from './layer-kind.js';

/** The bias of a transposed convolution. */
export const shift: LayerKind = {
  kind: 'shift',
  factor: 'identity',
  decays: false,
  match({ node, value }) {
    const [activations] = node.inputs;
    if (!isNode(node, 'ConvTranspose') || node.inputs[2] !== value || !activations) return undefined;
    const [outputs = 0] = value.dims;
    return { node, activations, inputs: 1, outputs, outputsFirst: false, outputAxes: [1, 2] };
  },
};
