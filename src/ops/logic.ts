// Comparisons, logic and selection: booleans and integers have no derivative, and Where passes on what it selects.
import { GraphError } from '../errors.js';
import { inputOf, type TensorType } from '../graph/graph.js';
import { type NodeDraft, type OpDefinition, type OpFamily, zeroGradient } from './definition.js';
import { inferBroadcast, inferSame } from './elementwise.js';
import {
  broadcastPositions,
  type FoldedOp,
  foldableInputs,
  foldElementwise,
  joinedTensors,
  rearranged,
} from './shapes/folding.js';
import { broadcastShapes } from './shapes/shapes.js';

const inferTruth = (node: NodeDraft): TensorType[] =>
  inferBroadcast(node).map(({ shape }) => ({ dtype: 'bool', shape }));

const comparison = (op: FoldedOp): OpDefinition => ({
  infer: inferTruth,
  gradient: zeroGradient,
  fold: foldElementwise(op),
  traits: { settings: [0, 1] },
});
const test: OpDefinition = { infer: inferTruth, gradient: zeroGradient };
const bitwise: OpDefinition = { infer: inferBroadcast, gradient: zeroGradient };

function foldWhere(node: NodeDraft) {
  const [condition, x, z] = foldableInputs(node) ?? [];
  if (!condition || !x || !z || x.dtype !== z.dtype) return undefined;
  const dims = broadcastShapes(condition.dims, x.dims, z.dims) as number[]; // constants have numeric sizes
  const [atCondition = [], atX = [], atZ = []] = [condition, x, z].map((value) => broadcastPositions(value.dims, dims));
  const positions = atCondition.map((at, i) => (condition.data[at] ? (atX[i] ?? 0) : x.data.length + (atZ[i] ?? 0)));
  return [rearranged(joinedTensors([x, z], x.dtype), dims, positions)];
}

export type LogicOp =
  | 'Equal'
  | 'Less'
  | 'LessOrEqual'
  | 'Greater'
  | 'GreaterOrEqual'
  | 'And'
  | 'Or'
  | 'Xor'
  | 'Not'
  | 'IsNaN'
  | 'IsInf'
  | 'BitShift'
  | 'BitwiseAnd'
  | 'BitwiseOr'
  | 'BitwiseXor'
  | 'BitwiseNot'
  | 'Where';

export const logicOps: OpFamily<LogicOp> = {
  Equal: comparison('Equal'),
  Less: comparison('Less'),
  LessOrEqual: comparison('LessOrEqual'),
  Greater: comparison('Greater'),
  GreaterOrEqual: comparison('GreaterOrEqual'),
  And: comparison('And'),
  Or: comparison('Or'),
  Xor: comparison('Xor'),
  Not: comparison('Not'),
  IsNaN: test,
  IsInf: test,
  BitShift: bitwise,
  BitwiseAnd: bitwise,
  BitwiseOr: bitwise,
  BitwiseXor: bitwise,
  BitwiseNot: { infer: inferSame, gradient: zeroGradient },

  Where: {
    infer: (node) => {
      const [condition, x, z] = [inputOf(node, 0), inputOf(node, 1), inputOf(node, 2)];
      if (condition.dtype !== 'bool') throw new GraphError(`the condition is ${condition.dtype}, not bool`);
      if (x.dtype !== z.dtype) throw new GraphError(`mixes ${x.dtype} and ${z.dtype}; cast one of them`);
      return [{ dtype: x.dtype, shape: broadcastShapes(condition.shape, x.shape, z.shape) }];
    },
    gradient: ({ b, x, dy }) => [undefined, b.where(x(0), dy, 0), b.where(x(0), 0, dy)],
    fold: foldWhere,
  },
};
