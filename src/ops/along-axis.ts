// Operators that work along one axis and keep the shape: softmax and cumulative sums.
import { inputOf, int, intAttribute, type TensorType } from '../graph/graph.js';
import { type NodeDraft, type OpFamily, oneForEachInput } from './definition.js';
import { normalizeAxis } from './shapes/shapes.js';

const axisOf = (node: NodeDraft): number => normalizeAxis(intAttribute(node, 'axis', -1), inputOf(node, 0).rank);

const inferSame = (node: NodeDraft): TensorType[] => {
  axisOf(node);
  return [inputOf(node, 0).type];
};

export type AlongAxisOp = 'Softmax' | 'LogSoftmax' | 'CumSum';

export const alongAxisOps: OpFamily<AlongAxisOp> = {
  // y = softmax(x): dx = y·(dy − Σ dy·y); an element masked by −∞ has y = 0 and gets exactly 0
  Softmax: {
    infer: inferSame,
    gradient: ({ b, node, y, dy }) => {
      const weighted = b.mul(dy, y);
      return [b.sub(weighted, b.mul(y, b.sum(weighted, [axisOf(node)], true)))];
    },
    flops: (node) => 5 * oneForEachInput(node),
    traits: { keepsClasses: true },
  },
  // y = log softmax(x): dx = dy − softmax(x)·Σ dy
  LogSoftmax: {
    infer: inferSame,
    gradient: ({ b, node, x, dy }) => {
      const axis = axisOf(node);
      return [b.sub(dy, b.mul(b.softmax(x(0), axis), b.sum(dy, [axis], true)))];
    },
    flops: (node) => 5 * oneForEachInput(node),
    traits: { keepsClasses: true },
  },
  // The transpose of a running sum runs the other way.
  CumSum: {
    infer: (node) => [inputOf(node, 0).type],
    gradient: ({ b, node, x, dy }) => {
      const reverse = int(1 - intAttribute(node, 'reverse', 0));
      const exclusive = int(intAttribute(node, 'exclusive', 0));
      return [b.op('CumSum', [dy, x(1)], { exclusive, reverse }), undefined];
    },
  },
};
