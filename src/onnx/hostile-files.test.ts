// Files that would take a reader for ever, or all memory, if it believed them: each is refused, or read in a bounded
// number of nodes.
import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { CountingBuilder } from '../../test/support/counting-builder.js';
import { modelProto, ramp } from '../../test/support/onnx-models.js';
import { gradients } from '../autodiff/gradients.js';
import { CgfacError } from '../errors.js';
import { inline } from '../graph/inline.js';
import { type TensorData, tensor, tensorFrom } from '../graph/tensor.js';
import { modelFromBytes } from '../model/file-model.js';
import { semantics } from '../ops/table.js';
import { encodeModel } from './encode/writer.js';

const scalar = (value: bigint) => tensor('int64', [], BigInt64Array.of(value));
const list = (...values: bigint[]) => tensor('int64', [values.length], BigInt64Array.from(values));
const info = (name: string) => create(ValueInfoProtoSchema, { name });
const node = (
  opType: string,
  input: string[],
  output: string[],
  bodies: Record<string, GraphProto> = {},
  domain = '',
) =>
  create(NodeProtoSchema, {
    ...{ opType, domain, input, output, name: `${output[0]}` },
    attribute: Object.entries(bodies).map(([name, g]) =>
      create(AttributeProtoSchema, { name, type: AttributeType.GRAPH, g }),
    ),
  });

/** A file whose nodes make `y` of `w`, the product of the input with a weight. */
function file(nodes: readonly NodeProto[], initializers: Record<string, TensorData> = {}): ModelProto {
  const proto = modelProto({
    ...{ opset: 18, inputs: { x: ['float32', ['batch', 4]] }, outputs: ['y'] },
    initializers: {
      weight: ramp([4, 4]),
      yes: tensorFrom('bool', [], [1]),
      half: tensorFrom('float32', [], [0.5]),
      ...initializers,
    },
    nodes: [{ op: 'MatMul', inputs: ['x', 'weight'], outputs: ['w'] }],
  });
  proto.graph?.node.push(...nodes);
  return proto;
}

/** A body that carries one value on, by nodes that make `<name>2` of `<name>`. */
const body = (name: string, nodes: readonly NodeProto[] = []): GraphProto =>
  create(GraphProtoSchema, {
    ...{ name, input: [info(`i${name}`), info(`c${name}`), info(name)] },
    output: [info(`c${name}`), info(nodes.length > 0 ? `${name}2` : name)],
    node: [...nodes],
  });
const loop = (input: string, output: string, g: GraphProto) =>
  node('Loop', ['rounds', 'yes', input], [output], { body: g });
const halved = (name: string) => node('Mul', [name, 'half'], [`${name}2`]);

/** Bytes of a field that holds a message. */
function field(number: number, message: Uint8Array): Uint8Array {
  const header = [(number << 3) | 2];
  for (let rest = message.length; ; rest >>>= 7) {
    header.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  return Buffer.concat([Uint8Array.from(header), message]);
}

/** A node with a body that has a node with a body, and so on: more than an encoder would write. */
function nested(depth: number): Uint8Array {
  let node: Uint8Array = new Uint8Array();
  // In a graph the nodes are field 1, in a node the attributes field 5, in an attribute the graph field 6.
  for (let i = 0; i < depth; i++) node = field(5, field(6, field(1, node)));
  return field(7, field(1, node));
}

const sequence = (sizes: TensorData) =>
  file(
    [
      node('SplitToSequence', ['w', 'sizes'], ['parts']),
      node('SequenceAt', ['parts', 'first'], ['part']),
      node('Identity', ['part'], ['y']),
    ],
    { sizes, first: scalar(0n) },
  );

const files: Record<string, () => ModelProto | Uint8Array> = {
  'a loop of 2^40 rounds': () => file([loop('w', 'y', body('h', [halved('h')]))], { rounds: scalar(2n ** 40n) }),
  'a loop of 2^62 rounds of nothing': () => file([loop('w', 'y', body('h'))], { rounds: scalar(2n ** 62n) }),
  'loops within loops within loops': () => {
    const innermost = body('k', [halved('k')]);
    const middle = body('m', [loop('m', 'm2', innermost)]);
    return file([loop('w', 'y', body('h', [loop('h', 'h2', middle)]))], { rounds: scalar(1000n) });
  },
  'a loop of 9,000 rounds': () => file([loop('w', 'y', body('h', [halved('h')]))], { rounds: scalar(9000n) }),
  'bodies within bodies, 30 deep': () => nested(30),
  'bodies within bodies, 500 deep': () => nested(500),
  'bodies within bodies, 5,000 deep': () => nested(5000),
  'a sequence of parts of no element': () => sequence(scalar(0n)),
  'a sequence of parts of −1 element': () => sequence(scalar(-1n)),
  'a sequence of 2^40 parts': () => {
    const proto = sequence(scalar(1n));
    proto.graph?.node.unshift(node('Expand', ['half', 'wide'], ['v']));
    const split = proto.graph?.node.find(({ opType }) => opType === 'SplitToSequence');
    if (split) split.input[0] = 'v';
    proto.graph?.initializer.push(...(file([], { wide: list(2n ** 40n) }).graph?.initializer.slice(-1) ?? []));
    return proto;
  },
  'a range without end': () =>
    file([node('Range', ['zero', 'far', 'zero'], ['r']), node('Cast', ['r'], ['y'])], {
      zero: scalar(0n),
      far: scalar(9n),
    }),
};

function use(bytes: Uint8Array, b: CountingBuilder): void {
  const { graph, parameters } = modelFromBytes(bytes, semantics);
  const bindings = new Map(
    [...graph.inputs, ...parameters.values()].map((value) => {
      const dims = value.shape.map((size) => (typeof size === 'string' ? 3 : size));
      return [value, b.input(value.name, value.dtype, dims)] as const;
    }),
  );
  const [y] = inline(b, graph, bindings).outputs.values();
  if (!y) throw new Error('a graph without outputs was decoded');
  const slopes = gradients(
    b,
    b.sum(y),
    [...parameters.values()].flatMap((value) => bindings.get(value) ?? []),
  );
  encodeModel(b.build('bound', Object.fromEntries(slopes.map((value, i) => [`${i}`, value]))));
}

/** Loops may become so many nodes together; what a file asks for in vain before it is refused stays below as well. */
const mostNodes = 150_000;

describe('a hostile file', () => {
  it.each(Object.entries(files))('with %s is read or refused with a typed error', (_, make) => {
    const made = make();
    const bytes = made instanceof Uint8Array ? made : toBinary(ModelProtoSchema, made);
    const b = new CountingBuilder();
    let refusal: unknown;
    try {
      use(bytes, b);
    } catch (error) {
      refusal = error;
    }
    if (refusal !== undefined) expect(refusal).toBeInstanceOf(CgfacError);
    expect(b.nodes).toBeLessThan(mostNodes);
  });
});
