// Kronecker blocks without a network, for tests of what is done with them.
import { KroneckerBlock } from '../../src/curvature/kronecker-block.js';
import type { LayerKind } from '../../src/curvature/layers/layer-kind.js';
import { Builder } from '../../src/ops/builder.js';
import type { Layout } from './layer-tensors.js';

interface BlockSize {
  readonly inputs: number;
  readonly outputs: number;
  readonly layout: Layout;
}

/** A block of one use for each of the given kinds of layers. */
export function blockOf(
  name: string,
  [first, ...others]: readonly [LayerKind, ...LayerKind[]],
  { inputs, outputs, layout }: BlockSize,
): KroneckerBlock {
  const b = new Builder();
  const [x, w] = [b.input('x', 'float32', [1, inputs]), b.input('w', 'float32', [inputs, outputs])];
  const preActivations = b.matmul(x, w);
  const { producer } = preActivations;
  if (!producer) throw new Error('a product is made by a node');
  const use = (layer: LayerKind) => ({
    ...{ layer, node: producer, activations: x, preActivations, transposed: false },
    ...{ groups: 1, inputs, outputs, outputsFirst: layout.outputsFirst, outputAxes: [1, 2] as const },
  });
  const dims = layout.outputsFirst ? [outputs, inputs] : [inputs, outputs];
  const bias = layout.hasBias ? { name: `${name}.bias`, dims: [outputs] } : undefined;
  return new KroneckerBlock({ name: `${name}.weight`, dims }, bias, [use(first), ...others.map(use)]);
}
