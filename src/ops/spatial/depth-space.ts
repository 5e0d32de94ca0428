// DepthToSpace and SpaceToDepth: channels become blocks of pixels and back, elements only move.
import { GraphError } from '../../errors.js';
import {
  inputOf,
  int,
  intAttribute,
  type Shape,
  stringAttribute,
  type TensorType,
  type Value,
} from '../../graph/graph.js';
import { type GradientContext, type NodeDraft, noFlops, type OpFamily } from '../definition.js';
import { productOf, quotientOf } from '../shapes/shapes.js';

function pictures(node: NodeDraft): { dtype: TensorType['dtype']; shape: Shape; block: number } {
  const { dtype, shape, rank } = inputOf(node, 0);
  if (rank !== 4) throw new GraphError('needs x [batch, channels, height, width]');
  const block = intAttribute(node, 'blocksize', 0);
  if (block < 1) throw new GraphError("lacks a positive 'blocksize'");
  return { dtype, shape, block };
}

/** Depth to space takes `[batch, channels, block, block, height, width]` to pixels; this takes pixels back. */
function depthToSpaceGradient({ b, node, x, dy }: GradientContext): Value[] {
  const { block } = pictures(node);
  const attributes = { blocksize: int(block) };
  if (stringAttribute(node, 'mode', 'DCR') === 'DCR') return [b.op('SpaceToDepth', [dy], attributes)];
  const [batch = 1, channels = 1, height = 1, width = 1] = x(0).dims;
  const blocks = b.reshape(dy, [batch, channels / block ** 2, height, block, width, block]);
  return [b.reshape(b.transpose(blocks, [0, 1, 3, 5, 2, 4]), x(0).dims)];
}

export type DepthSpaceOp = 'DepthToSpace' | 'SpaceToDepth';

export const depthSpaceOps: OpFamily<DepthSpaceOp> = {
  DepthToSpace: {
    infer: (node) => {
      const { dtype, shape, block } = pictures(node);
      const [batch = 1, channels = 1, height = 1, width = 1] = shape;
      const spread = [height, width].map((size) => productOf([size, block]));
      return [{ dtype, shape: [batch, quotientOf([channels], [block * block]), ...spread] }];
    },
    gradient: depthToSpaceGradient,
    flops: noFlops,
  },
  SpaceToDepth: {
    infer: (node) => {
      const { dtype, shape, block } = pictures(node);
      const [batch = 1, channels = 1, height = 1, width = 1] = shape;
      const gathered = [height, width].map((size) => quotientOf([size], [block]));
      return [{ dtype, shape: [batch, productOf([channels, block * block]), ...gathered] }];
    },
    gradient: ({ b, node, dy }) => [b.op('DepthToSpace', [dy], node.attributes)],
    flops: noFlops,
  },
};
