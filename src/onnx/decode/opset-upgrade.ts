// Rewrites a node of another operator set in its form of opset 21, the one that the operator table and the writer use.
// Source: the "Summary" and "Version" notes of each operator in ONNX's Changelog.md.
import { UnsupportedError } from '../../errors.js';
import type { GraphBuilder } from '../../graph/builder.js';
import {
  type Attribute,
  type Attributes,
  describeNode,
  int,
  intAttribute,
  intsAttribute,
  stringAttribute,
  text,
  type Value,
} from '../../graph/graph.js';
import { tensorFrom, toNumbers } from '../../graph/tensor.js';

/** A node of a file whose outputs are only names yet. */
export interface ImportedNode {
  readonly op: string;
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly attributes: Attributes;
  readonly outputs: readonly string[];
}

/** Rewrites a node that was written for an operator set before `before`; may emit nodes before it. */
interface Change {
  readonly before: number;
  readonly rewrite: (node: ImportedNode, emit: Emitter) => ImportedNode;
}

/** Emits the helper nodes of a rewrite, named after the node that they belong to. */
class Emitter {
  readonly b: GraphBuilder;
  readonly #name: string;

  constructor(b: GraphBuilder, node: ImportedNode) {
    this.b = b;
    this.#name = node.name || node.outputs[0] || node.op;
  }

  op(op: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}): Value {
    const name = `${this.#name}/${op}`;
    return this.b.op(op, inputs, attributes, { name, outputs: [`${name}_output`], fresh: true });
  }
}

const without = (attributes: Attributes, ...names: readonly string[]): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([name]) => !names.includes(name)));

const unsupported = (node: ImportedNode, what: string) =>
  new UnsupportedError(`${describeNode(node)} ${what}, which cgfac does not convert; export the model with opset 21`);

/** Turn the axes from an attribute into an input. */
const axesToInput: Change['rewrite'] = (node, { b }) => {
  const axes = intsAttribute(node, 'axes');
  const inputs = axes ? [node.inputs[0], b.integers(axes)] : [node.inputs[0]];
  return { ...node, inputs, attributes: without(node.attributes, 'axes') };
};

const reduction: readonly Change[] = [{ before: 18, rewrite: axesToInput }];

/** Return a scalar of the element type of the node's first input. */
function scalarLike(node: ImportedNode, b: GraphBuilder, value: number): Value {
  const dtype = node.inputs[0]?.knownType?.dtype;
  if (dtype !== 'float32' && dtype !== 'float64') {
    throw unsupported(node, `has numbers as attributes for elements of type ${dtype ?? 'unknown'}`);
  }
  return b.scalar(value, dtype);
}

const floatOf = (attribute: Attribute | undefined): number | undefined =>
  attribute?.kind === 'float' ? attribute.value : undefined;

const limitsToInputs: Change['rewrite'] = (node, { b }) => {
  const limits = ['min', 'max'].map((name) => {
    const value = floatOf(node.attributes[name]);
    return value === undefined ? undefined : scalarLike(node, b, value);
  });
  return { ...node, inputs: [node.inputs[0], ...limits], attributes: without(node.attributes, 'min', 'max') };
};

const ratioToInput: Change['rewrite'] = (node, { b }) => ({
  ...node,
  inputs: [node.inputs[0], b.scalar(floatOf(node.attributes.ratio) ?? 0.5, 'float32')],
  attributes: without(node.attributes, 'ratio'),
});

const paddingToInputs: Change['rewrite'] = (node, { b }) => {
  const value = floatOf(node.attributes.value) ?? 0;
  const inputs = [node.inputs[0], b.integers(intsAttribute(node, 'pads') ?? [])];
  if (value !== 0) inputs.push(scalarLike(node, b, value));
  return { ...node, inputs, attributes: without(node.attributes, 'pads', 'value') };
};

const rangesToInputs: Change['rewrite'] = (node, { b }) => {
  const ranges = ['starts', 'ends', 'axes'].map((name) => {
    const values = intsAttribute(node, name);
    return values && b.integers(values);
  });
  return {
    ...node,
    inputs: [node.inputs[0], ...ranges],
    attributes: without(node.attributes, 'starts', 'ends', 'axes'),
  };
};

/** Before 13 the axes from `axis` (1 by default) on were normalized together. */
const flattenedSoftmax: Change['rewrite'] = (node, emit) => {
  const [x] = node.inputs;
  const rank = x?.knownType?.shape.length;
  const axis = intAttribute(node, 'axis', 1);
  if (rank !== undefined && (axis === -1 || axis === rank - 1)) {
    return { ...node, attributes: { ...node.attributes, axis: int(-1) } };
  }
  const matrix = emit.op('Flatten', [x], { axis: int(axis) });
  const normalized = emit.op(node.op, [matrix], { axis: int(-1) });
  return { ...node, op: 'Reshape', inputs: [normalized, emit.op('Shape', [x])], attributes: {} };
};

const splitToInput: Change['rewrite'] = (node, { b }) => {
  const sizes = intsAttribute(node, 'split');
  const inputs = sizes ? [node.inputs[0], b.integers(sizes)] : [node.inputs[0]];
  return { ...node, inputs, attributes: without(node.attributes, 'split') };
};

const splitEqually: Change['rewrite'] = (node) =>
  node.inputs[1] ? node : { ...node, attributes: { ...node.attributes, num_outputs: int(node.outputs.length) } };

/** Before 14 several outputs meant training. Exporters name outputs 3 and 4, saved batch statistics, and never read them. */
const batchNormalizationMode: Change['rewrite'] = (node) => {
  if (node.outputs.slice(1).every((name) => name === '')) return { ...node, outputs: node.outputs.slice(0, 1) };
  return { ...node, outputs: node.outputs.slice(0, 3), attributes: { ...node.attributes, training_mode: int(1) } };
};

const batchNormalizationSpatial: Change['rewrite'] = (node) => {
  if (intAttribute(node, 'spatial', 1) !== 1) {
    throw unsupported(node, 'normalizes each position by itself (spatial = 0)');
  }
  return { ...node, attributes: without(node.attributes, 'spatial') };
};

/** Before 21 scale and shift had an element for each group; now they have one for each channel. */
const scaleOfEachChannel: Change['rewrite'] = (node, emit) => {
  const [x, ...affine] = node.inputs;
  const channels = x?.knownType?.shape[1];
  const groups = intAttribute(node, 'num_groups', 1);
  if (typeof channels !== 'number') throw unsupported(node, 'has an unknown number of channels');
  const perGroup = channels / groups;
  const repeat = (value: Value | undefined): Value => {
    const column = emit.op('Unsqueeze', [value, emit.b.integers([1])]);
    const repeated = emit.op('Expand', [column, emit.b.integers([groups, perGroup])]);
    return emit.op('Reshape', [repeated, emit.b.integers([-1])]);
  };
  return { ...node, inputs: [x, ...affine.map(repeat)] };
};

/** Upsample is Resize with positions scaled by plain multiplication and rounded down. */
const asymmetric = { coordinate_transformation_mode: text('asymmetric'), nearest_mode: text('floor') };

const upsampleToResize: Change['rewrite'] = (node, { b }) => {
  const given = node.attributes.scales;
  const scales =
    given?.kind === 'floats' ? b.constant(tensorFrom('float32', [given.value.length], given.value)) : node.inputs[1];
  const mode = stringAttribute(node, 'mode', 'nearest') === 'nearest' ? 'nearest' : 'linear';
  return {
    ...node,
    op: 'Resize',
    inputs: [node.inputs[0], undefined, scales],
    attributes: { mode: text(mode), ...asymmetric },
  };
};

const oldResize: Change['rewrite'] = (node) => {
  const [x, scales] = node.inputs;
  const shrinks = !scales?.constant || toNumbers(scales.constant).some((scale) => scale < 1);
  if (shrinks && stringAttribute(node, 'mode', 'nearest') === 'nearest') {
    throw unsupported(node, 'of opset 10 may shrink its input by nearest neighbours');
  }
  return { ...node, inputs: [x, undefined, scales], attributes: { ...node.attributes, ...asymmetric } };
};

/** Opsets 11 and 12 give empty tensors for regions and scales that are left out, as some exporters still do. */
const emptyResizeInputs: Change['rewrite'] = (node) => {
  if (stringAttribute(node, 'coordinate_transformation_mode', '') === 'tf_half_pixel_for_nn') {
    throw unsupported(node, "uses the coordinate transformation 'tf_half_pixel_for_nn'");
  }
  const inputs = node.inputs.map((input, i) => (i > 0 && input?.constant?.data.length === 0 ? undefined : input));
  return { ...node, inputs };
};

const renamedSamplingModes: Change['rewrite'] = (node) => {
  const renamed: Readonly<Record<string, string>> = { bilinear: 'linear', bicubic: 'cubic' };
  const mode = stringAttribute(node, 'mode', 'bilinear');
  return { ...node, attributes: { ...node.attributes, mode: text(renamed[mode] ?? mode) } };
};

const changes: Readonly<Record<string, readonly Change[]>> = {
  BatchNormalization: [
    { before: 9, rewrite: batchNormalizationSpatial },
    { before: 14, rewrite: batchNormalizationMode },
  ],
  Clip: [{ before: 11, rewrite: limitsToInputs }],
  DFT: [
    {
      before: 20,
      rewrite: (node, { b }) => ({
        ...node,
        inputs: [node.inputs[0], node.inputs[1], b.scalar(intAttribute(node, 'axis', 1), 'int64')],
        attributes: without(node.attributes, 'axis'),
      }),
    },
  ],
  Dropout: [{ before: 12, rewrite: ratioToInput }],
  GridSample: [{ before: 20, rewrite: renamedSamplingModes }],
  GroupNormalization: [{ before: 21, rewrite: scaleOfEachChannel }],
  Hardmax: [{ before: 13, rewrite: flattenedSoftmax }],
  LogSoftmax: [{ before: 13, rewrite: flattenedSoftmax }],
  Pad: [{ before: 11, rewrite: paddingToInputs }],
  ReduceL1: reduction,
  ReduceL2: reduction,
  ReduceLogSum: reduction,
  ReduceLogSumExp: reduction,
  ReduceMax: reduction,
  ReduceMean: reduction,
  ReduceMin: reduction,
  ReduceProd: reduction,
  ReduceSum: [{ before: 13, rewrite: axesToInput }],
  ReduceSumSquare: reduction,
  Resize: [
    { before: 11, rewrite: oldResize },
    { before: Number.POSITIVE_INFINITY, rewrite: emptyResizeInputs },
  ],
  RoiAlign: [
    {
      before: 16,
      rewrite: (node) => ({
        ...node,
        attributes: { ...node.attributes, coordinate_transformation_mode: text('output_half_pixel') },
      }),
    },
  ],
  Scan: [
    {
      before: 9,
      rewrite: (node) => {
        throw unsupported(node, 'has the form of opset 8');
      },
    },
  ],
  Scatter: [{ before: 11, rewrite: (node) => ({ ...node, op: 'ScatterElements' }) }],
  Slice: [{ before: 10, rewrite: rangesToInputs }],
  Softmax: [{ before: 13, rewrite: flattenedSoftmax }],
  Split: [
    { before: 13, rewrite: splitToInput },
    { before: 18, rewrite: splitEqually },
  ],
  Squeeze: [{ before: 13, rewrite: axesToInput }],
  TopK: [
    {
      before: 10,
      rewrite: (node, { b }) => ({
        ...node,
        inputs: [node.inputs[0], b.integers([intAttribute(node, 'k', 1)])],
        attributes: without(node.attributes, 'k'),
      }),
    },
  ],
  Unsqueeze: [{ before: 13, rewrite: axesToInput }],
  Upsample: [{ before: 10, rewrite: upsampleToResize }],
};

/** Operators that came after opset 21, which programs are written for. */
const newer = new Set(['Attention', 'RMSNormalization', 'RotaryEmbedding']);

/**
 * Return the node in its form of opset 21.
 * @param version the operator set that the file was written for
 * @throws UnsupportedError naming the node if a difference between the versions is not converted
 */
export function upgradeNode(node: ImportedNode, version: number, b: GraphBuilder): ImportedNode {
  if (node.domain !== '') return node;
  if (version > 21 && newer.has(node.op)) throw unsupported(node, `is an operator of opset ${version}`);
  let upgraded = node;
  const applying = Object.hasOwn(changes, node.op) ? changes[node.op] : undefined;
  for (const { before, rewrite } of applying ?? []) {
    if (version < before) upgraded = rewrite(upgraded, new Emitter(b, node));
  }
  return upgraded;
}
