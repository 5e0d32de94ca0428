// A model that learns standardized targets and predicts in the data's own units: deviation · f(x) + mean follows its last
// layer, in the file as well. Training removes that end, as it does a softmax, and learns f (see losses/objective.ts).

import { OptionError } from '../../errors.js';
import { formatType, type Graph, type Value } from '../../graph/graph.js';
import { inline } from '../../graph/inline.js';
import { isNode } from '../../graph/uses.js';
import { checkNormalization, describeNormalization, type Normalization } from '../../normalization.js';
import { decodeProto } from '../../onnx/decode/message.js';
import { appended, withoutAppended } from '../../onnx/edits/constant-steps.js';
import { encodeMessage } from '../../onnx/patch.js';
import { traitsOf } from '../../ops/table.js';
import { modelRemade } from '../file-model.js';
import { checkModel, type Model } from '../model.js';
import { copyOf } from './graph-copy.js';
import { constantOf, withConstants } from './own-constants.js';

const meanName = 'normalization.target.mean';
const deviationName = 'normalization.target.deviation';
/** The prediction before the steps. */
const innerName = 'normalization.target.standardized';
/** The nodes that scale and shift the prediction. */
const steps = [
  { op: 'Mul', tensor: deviationName, name: 'normalization.target.scaled' },
  { op: 'Add', tensor: meanName, name: 'normalization.target.shifted' },
] as const;

/** The end of a model that predicts deviation · f(x) + mean. */
export interface TargetTail {
  /** f(x), a value of the model's graph. */
  readonly standardized: Value;
  /** One number for all targets, or one for each column, which is the last axis of the output. */
  readonly mean: Value;
  readonly deviation: Value;
}

/**
 * Return the model with its first output times the deviation plus the mean of its targets: one of each for each number that
 * it predicts (the output's last axis), or one for all. Both are among `statistics`, as `normalization.target.mean` and
 * `normalization.target.deviation`; in the file they are constants, which no training moves. Trained on squared error
 * the model learns (targets − mean) / deviation.
 * @throws OptionError if they do not fit the model's output, numbers are not usable, or the model has such an end already
 * @example
 * const model = withTargetNormalization(mlp({ sizes: [4, 16, 1], seed: 1 }), { mean: [200_000], deviation: [84_000] });
 */
export function withTargetNormalization(model: Model, normalization: Normalization): Model {
  checkModel('withTargetNormalization', model);
  checkNormalization(normalization);
  const known = targetNormalizationOf(model);
  if (known) {
    throw new OptionError(
      `model '${model.name}' predicts by a normalization of targets already, ${describeNormalization(known)}: train it without another one`,
    );
  }
  const [output] = model.graph.outputs;
  const { mean, deviation } = normalization;
  const type = output?.value.knownType;
  const columns = type?.shape.at(-1);
  const takes = mean.length === 1 || typeof columns !== 'number' || columns === mean.length;
  const fits = mean.length === deviation.length && mean.length > 0 && takes && (type?.dtype ?? 'float32') === 'float32';
  if (!output?.value.producer || !fits) {
    throw new OptionError(
      `a normalization of ${mean.length} means and ${deviation.length} deviations does not fit the output '${output?.name}' of model '${model.name}', which is ${formatType(type)}: give one of each for all numbers that it predicts, or for each`,
    );
  }
  const dims = [mean.length];
  const own = new Map([constantOf(meanName, mean, dims), constantOf(deviationName, deviation, dims)]);
  return withConstants(model, own, tailedGraph(model, own), (proto, value) =>
    appended(
      proto,
      output.name,
      innerName,
      steps.map(({ tensor, ...step }) => ({ ...step, constant: tensor, value: value(tensor) })),
    ),
  );
}

/** Return the end that `withTargetNormalization` gave a model, or a file of one; undefined for others. */
export function targetTailOf({ graph }: Model): TargetTail | undefined {
  const [scaled, shifted] = steps;
  const last = graph.outputs[0]?.value.producer;
  if (last?.name !== shifted.name || last.op !== shifted.op) return undefined;
  const [product, mean] = last.inputs;
  const before = product?.producer;
  if (before?.name !== scaled.name || before.op !== scaled.op) return undefined;
  const [standardized, deviation] = before.inputs;
  return standardized && mean?.constant && deviation?.constant ? { standardized, mean, deviation } : undefined;
}

/** Return mean and deviation of the targets of a model that `withTargetNormalization` made, or of a file of one; undefined for others. */
export function targetNormalizationOf(model: Model): Normalization | undefined {
  const tail = targetTailOf(model);
  if (!tail?.mean.constant || !tail.deviation.constant) return undefined;
  return {
    mean: Array.from(tail.mean.constant.data, Number),
    deviation: Array.from(tail.deviation.constant.data, Number),
  };
}

/** Return the model that predicts f(x) itself, as that of a file: a new head is not for the old targets. */
export function withoutTargetNormalization(model: Model): Model {
  const [output] = model.graph.outputs;
  if (!output || !targetTailOf(model)) return model;
  const bare = withoutAppended(
    decodeProto(model.encode(new Map())),
    output.name,
    innerName,
    steps.map(({ tensor, name }) => ({ name, constant: tensor })),
  );
  return modelRemade(model, encodeMessage(bare, model.name));
}

/**
 * Whether a model ends in a layer, so that it predicts numbers of any size. One that ends in an activation (a sigmoid, a
 * Relu) was made for targets in its range, which standardized targets leave.
 */
export function endsInLayer({ graph }: Model): boolean {
  const isLayer = (value: Value | undefined): boolean => {
    const node = value?.producer;
    if (!node) return false;
    const { appliesWeights, linear, arranges } = traitsOf(node);
    if (linear && appliesWeights) return true;
    if (linear || arranges) return isLayer(node.inputs[0]);
    return isNode(node, 'Add', 'Sub') && node.inputs.some(isLayer);
  };
  return isLayer(graph.outputs[0]?.value);
}

function tailedGraph(model: Model, own: ReadonlyMap<string, Value>): Graph {
  const { graph } = model;
  const { b, bindings } = copyOf(model);
  const outputs = new Map(inline(b, graph, bindings).outputs);
  const [first] = graph.outputs;
  let y = first && outputs.get(first.name);
  for (const { op, tensor, name } of steps) {
    y = b.op(op, [y, own.get(tensor)], {}, { name, outputs: [name], types: [first?.value.knownType] });
  }
  if (first && y) outputs.set(first.name, y);
  return b.build(graph.name, Object.fromEntries(outputs));
}
