// Operators that make tensors from shapes and scalars, and Dropout, which is the identity outside training.
import { GraphError, UnsupportedError } from '../../errors.js';
import { inputOf, stringAttribute, type TensorType } from '../../graph/graph.js';
import {
  elementCount,
  isDataType,
  isFloatingPoint,
  type TensorData,
  tensorFrom,
  toNumbers,
} from '../../graph/tensor.js';
import { type NodeDraft, noFlops, type OpFamily, zeroGradient } from '../definition.js';
import { foldableInputs, rearranged } from '../shapes/folding.js';
import { dimensionsOf, shapeRange } from '../shapes/shape-values.js';
import { productOf, range } from '../shapes/shapes.js';

/** The one element that a ConstantOfShape fills with. */
function fillOf(node: NodeDraft): TensorData {
  const value = node.attributes.value;
  return value?.kind === 'tensor' ? value.value : tensorFrom('float32', [1], [0]);
}

function inferFilled(node: NodeDraft): (TensorType | undefined)[] {
  const shape = dimensionsOf(inputOf(node, 0));
  return [shape && { dtype: fillOf(node).dtype, shape }];
}

/** Elements of a Range whose limits are known: max(0, ⌈(limit − start) / delta⌉). */
function rangeLength(node: NodeDraft): number | undefined {
  const [start, limit, delta] = node.inputs.map((input) => input?.constant && Number(input.constant.data[0]));
  if (start === undefined || limit === undefined || delta === undefined) return undefined;
  const length = Math.max(0, Math.ceil((limit - start) / delta));
  return Number.isSafeInteger(length) ? length : undefined; // a step of 0 has none
}

function inferRange(node: NodeDraft): (TensorType | undefined)[] {
  const { dtype } = inputOf(node, 0);
  const known = rangeLength(node);
  if (known !== undefined) return [{ dtype, shape: [known] }];
  const [start, limit, delta] = node.inputs.map((input) => input && dimensionsOf(input)?.[0]);
  return [start === 0 && delta === 1 && limit !== undefined ? { dtype, shape: [limit] } : undefined];
}

export type CreationOp = 'Shape' | 'Size' | 'ConstantOfShape' | 'Range' | 'EyeLike' | 'Dropout';

export const creationOps: OpFamily<CreationOp> = {
  Shape: {
    infer: (node) => [{ dtype: 'int64', shape: [shapeRange(node, inputOf(node, 0).shape).length] }],
    gradient: zeroGradient,
    fold: (node) => {
      const shape = node.inputs[0]?.knownType?.shape;
      const part = shape && shapeRange(node, shape);
      return part?.every((size) => typeof size === 'number') ? [tensorFrom('int64', [part.length], part)] : undefined;
    },
    flops: noFlops,
  },
  Size: {
    infer: () => [{ dtype: 'int64', shape: [] }],
    gradient: zeroGradient,
    fold: (node) => {
      const shape = node.inputs[0]?.knownType?.shape;
      const size = shape && productOf(shape);
      return typeof size === 'number' ? [tensorFrom('int64', [], [size])] : undefined;
    },
    flops: noFlops,
  },
  ConstantOfShape: {
    infer: inferFilled,
    gradient: zeroGradient,
    fold: (node) => {
      const fill = fillOf(node);
      const [shape] = foldableInputs(node) ?? [];
      if (!shape || isFloatingPoint(fill.dtype)) return undefined;
      const dims = toNumbers(shape);
      const count = elementCount(dims);
      return count <= 1024 ? [rearranged(fill, dims, new Array<number>(count).fill(0))] : undefined;
    },
    flops: noFlops,
  },
  Range: {
    infer: inferRange,
    gradient: zeroGradient,
    fold: (node) => {
      const [start, , delta] = foldableInputs(node) ?? [];
      const length = rangeLength(node);
      if (!start || !delta || length === undefined || length > 1024) return undefined;
      const [first, step] = [Number(start.data[0]), Number(delta.data[0])];
      const numbers = range(0, length).map((i) => first + i * step);
      return [tensorFrom(start.dtype, [length], numbers)];
    },
    flops: noFlops,
    traits: { settings: [0, 1, 2] },
  },
  EyeLike: {
    infer: (node) => {
      const { dtype, shape } = inputOf(node, 0);
      const to = stringAttribute(node, 'dtype', dtype);
      if (!isDataType(to)) throw new GraphError(`has elements of '${to}'`);
      return [{ dtype: to, shape }];
    },
    gradient: zeroGradient,
    flops: noFlops,
  },
  Dropout: {
    infer: (node) => {
      const { dtype, shape } = inputOf(node, 0);
      return [
        { dtype, shape },
        { dtype: 'bool', shape },
      ];
    },
    gradient: ({ node, dy }) => {
      const [, ratio, mode] = node.inputs;
      const dropsNothing = ratio?.constant && Number(ratio.constant.data[0]) === 0;
      if (dropsNothing || !mode || mode.constant?.data[0] === 0) return [dy];
      throw new UnsupportedError(
        'it drops elements at random whenever the model runs, which has no one gradient: the file was exported in training ' +
          'mode. Export it in evaluation mode (model.eval(), training=TrainingMode.EVAL); training drops by itself',
      );
    },
    traits: { settings: [1, 2], linear: true, keepsClasses: true },
  },
};
