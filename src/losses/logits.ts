// The logits of a network that ends in the activation that its loss contains.
import { intAttribute, type Shape, type Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { normalizeAxis, sameShape } from '../ops/shapes/shapes.js';
import { traitsOf } from '../ops/table.js';

/** Return the logits of a network that ends in a sigmoid, perhaps rearranged afterwards; undefined if it ends in none. */
export function beforeSigmoid(b: Builder, { producer }: Value): Value | undefined {
  const [data, ...others] = producer?.inputs ?? [];
  if (!producer || !data || producer.domain !== '') return undefined;
  if (producer.op === 'Sigmoid') return data;
  const before = traitsOf(producer).arranges ? beforeSigmoid(b, data) : undefined;
  return before && b.node(producer.op, [before, ...others], producer.attributes)[0];
}

/**
 * Return the logits of a network that ends in a softmax over the classes, or else its prediction, with the classes on the
 * last axis. If the targets fit only so, the classes of the prediction are on the second axis, as in PyTorch:
 * `[batch, classes, height, width]` and `[batch, height, width]`.
 */
export function beforeSoftmax(b: Builder, prediction: Value, targets?: Shape): Value {
  const last = prediction.rank - 1;
  const classes = targets && areClassesSecond(prediction.shape, targets) ? 1 : last;
  const { producer } = prediction;
  const isContained =
    producer !== undefined &&
    ['Softmax', 'LogSoftmax'].includes(producer.op) &&
    normalizeAxis(intAttribute(producer, 'axis', -1), last + 1) === classes;
  const output = (isContained ? producer.inputs[0] : undefined) ?? prediction;
  const positions = Array.from({ length: last + 1 }, (_, axis) => axis);
  return classes === last ? output : b.transpose(output, [0, ...positions.slice(2), 1]);
}

/** Return whether labels fit logits with the classes on the second axis, and do not fit them with the classes on the last. */
export const areClassesSecond = (logits: Shape, labels: Shape): boolean =>
  logits.length > 2 &&
  !sameShape(logits.slice(0, -1), labels) &&
  sameShape([...logits.slice(0, 1), ...logits.slice(2)], labels);
