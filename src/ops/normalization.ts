// Normalizations: batch, layer, group, instance and Lp. All but the last share one derivative (Ioffe & Szegedy 2015).
import { GraphError, UnsupportedError } from '../errors.js';
import {
  type Dimension,
  floatAttribute,
  inputOf,
  intAttribute,
  type Node,
  type TensorType,
  type Value,
} from '../graph/graph.js';
import type { Builder } from './builder.js';
import { type GradientContext, type NodeDraft, type OpFamily, oneForEachInput } from './definition.js';
import { broadcastShapes, formatShape, normalizeAxis, range, sameShape } from './shapes/shapes.js';

const epsilonOf = (node: NodeDraft): number => floatAttribute(node, 'epsilon', 1e-5);

/** A vector over the channels as a factor of [batch, channels, …]. */
const overChannels = (b: Builder, vector: Value, rank: number): Value =>
  b.unsqueeze(vector, range(1, Math.max(rank - 1, 1)));

/** All axes but the channels'. */
const exceptChannels = (rank: number): number[] => [0, ...range(2, rank)];

const sum = (b: Builder, left: Value, right: Value, axes: readonly number[]): Value => b.sum(b.mul(left, right), axes);

/** The normalization of x over axes: x̂ = (x − mean)·inverse, inverse = 1/√(variance + ε), of size 1 along the axes. */
interface Normalized {
  readonly normal: Value;
  readonly inverse: Value;
}

function normalize(b: Builder, x: Value, axes: readonly number[], epsilon: number): Normalized {
  const centered = b.sub(x, b.mean(x, axes, true));
  const variance = b.mean(b.square(centered), axes, true);
  const inverse = b.reciprocal(b.sqrt(b.add(variance, epsilon)));
  return { normal: b.mul(centered, inverse), inverse };
}

/** dx = inverse·(dx̂ − mean dx̂ − x̂·mean(dx̂·x̂)), the means over the normalized axes. */
function normalizedGradient(
  b: Builder,
  { normal, inverse }: Normalized,
  cotangent: Value,
  axes: readonly number[],
): Value {
  const along = b.mul(normal, b.mean(b.mul(cotangent, normal), axes, true));
  return b.mul(inverse, b.sub(b.sub(cotangent, b.mean(cotangent, axes, true)), along));
}

function checkChannels(node: NodeDraft, indices: readonly number[]): void {
  const x = inputOf(node, 0);
  if (x.rank < 2) throw new GraphError('needs x [batch, channels, …]');
  const channels = x.shape[1];
  for (const index of indices) {
    const vector = inputOf(node, index);
    const size = vector.shape[0];
    const fits = vector.rank === 1 && (typeof size === 'string' || typeof channels === 'string' || size === channels);
    if (!fits) throw new GraphError(`input ${index} is ${formatShape(vector.shape)}, not [${channels}]`);
  }
}

// --- BatchNormalization ---------------------------------------------------------------------------------------------

const isTraining = (node: NodeDraft): boolean => intAttribute(node, 'training_mode', 0) === 1;

function inferBatch(node: NodeDraft): TensorType[] {
  checkChannels(node, [1, 2, 3, 4]);
  const y = inputOf(node, 0).type;
  return isTraining(node) ? [y, inputOf(node, 3).type, inputOf(node, 4).type] : [y];
}

/** With fixed mean and variance y = scale·(x − mean)·r + bias, r = 1/√(variance + ε). */
function fixedGradient({ b, node, x, dy }: GradientContext): (Value | undefined)[] {
  const rank = dy.rank;
  const inverse = b.reciprocal(b.sqrt(b.add(x(4), epsilonOf(node))));
  const factor = b.mul(x(1), inverse);
  const normal = b.mul(b.sub(x(0), overChannels(b, x(3), rank)), overChannels(b, inverse, rank));
  const [scale, bias] = [sum(b, dy, normal, exceptChannels(rank)), b.sum(dy, exceptChannels(rank))];
  // dr/dvariance = −r³/2
  const variance = b.mul(b.mul(scale, b.mul(factor, inverse)), -0.5);
  return [b.mul(dy, overChannels(b, factor, rank)), scale, bias, b.neg(b.mul(bias, factor)), variance];
}

/**
 * With the mean and variance of the batch: dx = scale·r·(dy − Σdy/n − x̂·Σ(dy·x̂)/n). The running averages
 * m·old + (1 − m)·new are outputs as well, and pass their cotangents on: the mean's through 1/n, the variance's
 * through 2(x − mean)/n.
 */
function batchGradient({ b, node, x, dy, cotangents }: GradientContext): (Value | undefined)[] {
  const axes = exceptChannels(dy.rank);
  const momentum = floatAttribute(node, 'momentum', 0.9);
  const { normal, inverse: wideInverse } = normalize(b, x(0), axes, epsilonOf(node));
  const inverse = b.squeeze(wideInverse, axes);
  const count = b.sizeOf(x(0), axes, dy.dtype);
  const [, ofMean, ofVariance] = cotangents;
  const [scale, bias] = [sum(b, dy, normal, axes), b.sum(dy, axes)];
  const factor = b.mul(x(1), inverse);
  // dx = factor·dy + along·x̂ + shift, with one number of each for a channel
  let [along, shift] = [b.neg(b.mul(factor, scale)), b.neg(b.mul(factor, bias))];
  if (ofMean) shift = b.add(shift, b.mul(ofMean, 1 - momentum));
  if (ofVariance) along = b.add(along, b.mul(b.div(ofVariance, inverse), 2 * (1 - momentum)));
  const wide = (vector: Value) => overChannels(b, vector, dy.rank);
  const moved = b.add(b.mul(normal, wide(b.div(along, count))), wide(b.div(shift, count)));
  return [
    b.add(b.mul(dy, wide(factor)), moved),
    scale,
    bias,
    ofMean && b.mul(ofMean, momentum),
    ofVariance && b.mul(ofVariance, momentum),
  ];
}

// --- LayerNormalization ---------------------------------------------------------------------------------------------

const firstAxis = (node: NodeDraft): number => normalizeAxis(intAttribute(node, 'axis', -1), inputOf(node, 0).rank);

function inferLayer(node: NodeDraft): TensorType[] {
  const x = inputOf(node, 0);
  const axis = firstAxis(node);
  for (const index of node.inputs[2] ? [1, 2] : [1]) {
    const { shape } = inputOf(node, index);
    if (!sameShape(broadcastShapes(shape, x.shape), x.shape)) {
      throw new GraphError(
        `input ${index} of shape ${formatShape(shape)} does not broadcast to ${formatShape(x.shape)}`,
      );
    }
  }
  const reduced = { dtype: 'float32', shape: x.shape.map((size, i): Dimension => (i < axis ? size : 1)) } as const;
  if (intAttribute(node, 'stash_type', 1) !== 1) throw new UnsupportedError('stash_type other than 1 (float32)');
  return [x.type, reduced, reduced];
}

/** Outputs mean and 1/√(variance + ε) pass their cotangents on: through 1/n and −x̂·inverse²/n. */
function layerGradient({ b, node, x, dy, cotangents }: GradientContext): (Value | undefined)[] {
  const axes = range(firstAxis(node), dy.rank);
  const normalized = normalize(b, x(0), axes, epsilonOf(node));
  const { normal, inverse } = normalized;
  const parts = [normalizedGradient(b, normalized, b.mul(dy, x(1)), axes)];
  const count = b.sizeOf(x(0), axes, dy.dtype);
  const [mean, deviation] = cotangents.slice(1).map((cotangent) => cotangent && b.cast(cotangent, dy.dtype));
  if (mean) parts.push(b.expandLike(b.div(mean, count), x(0)));
  if (deviation) parts.push(b.neg(b.mul(normal, b.div(b.mul(deviation, b.square(inverse)), count))));
  return [parts.reduce((total, part) => b.add(total, part)), b.mul(dy, normal), node.inputs[2] && dy];
}

// --- GroupNormalization, InstanceNormalization ----------------------------------------------------------------------

function inferGroups(node: NodeDraft): TensorType[] {
  checkChannels(node, [1, 2]);
  const x = inputOf(node, 0);
  const [channels, groups] = [x.shape[1], groupsOf(node)];
  if (typeof channels === 'number' && (groups < 1 || channels % groups !== 0)) {
    throw new GraphError(`${channels} channels do not divide into ${groups} groups`);
  }
  return [x.type];
}

/** Instance normalization has a group for each channel. */
function groupsOf(node: NodeDraft): number {
  return node.op === 'InstanceNormalization' ? Number(inputOf(node, 1).shape[0]) : intAttribute(node, 'num_groups', 0);
}

/** The groups of each example are normalized separately: x as [batch, groups, …] over the last axis. */
function groupGradient({ b, node, x, dy }: GradientContext): (Value | undefined)[] {
  const byGroup = (value: Value) => b.reshape(value, [0, groupsOf(node), -1]);
  const normalized = normalize(b, byGroup(x(0)), [2], epsilonOf(node));
  const cotangent = byGroup(b.mul(dy, overChannels(b, x(1), dy.rank)));
  const axes = exceptChannels(dy.rank);
  return [
    b.reshapeLike(normalizedGradient(b, normalized, cotangent, [2]), x(0)),
    sum(b, dy, b.reshapeLike(normalized.normal, x(0)), axes),
    b.sum(dy, axes),
  ];
}

// --- LpNormalization ------------------------------------------------------------------------------------------------

/** y = x/‖x‖: dx = (dy − n·Σ dy·y)/‖x‖ with the norm's derivative n, sign(x) for p = 1 and y for p = 2; 0 at x = 0. */
function lpGradient({ b, node, x, y, dy }: GradientContext): (Value | undefined)[] {
  const axes = [normalizeAxis(intAttribute(node, 'axis', -1), dy.rank)];
  const p = intAttribute(node, 'p', 2);
  const power = p === 1 ? b.sum(b.abs(x(0)), axes, true) : b.sum(b.square(x(0)), axes, true);
  const positive = b.greater(power, 0);
  const safe = b.where(positive, power, 1);
  const norm = p === 1 ? safe : b.sqrt(safe);
  const derivative = p === 1 ? b.sign(x(0)) : y;
  const moved = b.sub(dy, b.mul(derivative, b.sum(b.mul(dy, y), axes, true)));
  return [b.where(positive, b.div(moved, norm), 0)];
}

/** Mean, variance, scaling: about eight operations an element. */
const flops = (node: Node): number => 8 * oneForEachInput(node);

export type NormalizationOp =
  | 'BatchNormalization'
  | 'LayerNormalization'
  | 'GroupNormalization'
  | 'InstanceNormalization'
  | 'LpNormalization';

export const normalizationOps: OpFamily<NormalizationOp> = {
  BatchNormalization: {
    infer: inferBatch,
    gradient: (context) => (isTraining(context.node) ? batchGradient(context) : fixedGradient(context)),
    flops,
    traits: { normalizes: true, runningAverages: [3, 4] },
  },
  LayerNormalization: { infer: inferLayer, gradient: layerGradient, flops, traits: { normalizes: true } },
  GroupNormalization: { infer: inferGroups, gradient: groupGradient, flops, traits: { normalizes: true } },
  InstanceNormalization: { infer: inferGroups, gradient: groupGradient, flops, traits: { normalizes: true } },
  LpNormalization: { infer: (node) => [inputOf(node, 0).type], gradient: lpGradient, flops },
};
