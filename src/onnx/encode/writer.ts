// Writes a graph as an ONNX model: names are made unique, constants are initializers, captured values are read by name.
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import {
  type Attribute,
  constantsOf,
  type Graph,
  type Node,
  subgraphs,
  type TensorType,
  type Value,
} from '../../graph/graph.js';
import { isDataType, type TensorData } from '../../graph/tensor.js';
import { UniqueNames } from '../../graph/unique-names.js';
import { expanded } from '../../ops/expand.js';
import { isElementType, onnxCode } from '../types.js';
import { encodeTensor } from './tensor.js';

/** The version of ONNX's own operator set that built graphs are written for. */
const opset = 21;
const irVersion = 10;

export interface WriteOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  readonly documentation?: string;
  /** Elements to write instead of a constant's own. */
  readonly constants?: ReadonlyMap<Value, TensorData>;
}

/**
 * Return the bytes of an `.onnx` file that computes the graph, operators of users written out. Named constants become
 * initializers of that name.
 */
export function encodeModel(given: Graph, options: WriteOptions = {}): Uint8Array {
  const graph = expanded(given);
  const names = new Names();
  for (const input of graph.inputs) names.reserve(input, input.name);
  for (const { name, value } of graph.outputs) names.nameOutput(value, name);
  const model = create(ModelProtoSchema, {
    irVersion: BigInt(irVersion),
    producerName: 'cgfac',
    ...(options.documentation === undefined ? {} : { docString: options.documentation }),
    graph: encodeGraph(graph, names, constantsOf(graph), options.constants),
    // Other domains than ONNX's own have one version.
    opsetImport: ['', ...domainsOf(graph)].map((domain) => ({ domain, version: BigInt(domain === '' ? opset : 1) })),
    metadataProps: Object.entries(options.metadata ?? {}).map(([key, value]) => ({ key, value })),
  });
  return toBinary(ModelProtoSchema, model);
}

/** Gives each value a name that no other value in the model has; a body's names must not shadow outer ones. */
class Names {
  readonly #names = new Map<Value, string>();
  readonly #taken = new UniqueNames();
  readonly #nodeNames = new UniqueNames();

  /** Give a computed value the name of its output, so that it needs no copy; for other values the name is only reserved. */
  nameOutput(value: Value, name: string): void {
    if (value.producer && !this.#names.has(value) && !this.#taken.has(name)) this.#names.set(value, name);
    this.#taken.add(name);
  }

  reserve(value: Value, name: string): void {
    this.#names.set(value, name);
    this.#taken.add(name);
  }

  /** Node names are optional, and made unique: a program may contain the same layer several times. */
  ofNode({ name }: Node): string {
    if (name === '') return '';
    const unique = this.#nodeNames.unused(name);
    this.#nodeNames.add(unique);
    return unique;
  }

  of(value: Value): string {
    const known = this.#names.get(value);
    if (known !== undefined) return known;
    const name = this.#taken.unused(value.name || 'value');
    this.reserve(value, name);
    return name;
  }
}

function encodeGraph(
  graph: Graph,
  names: Names,
  constants: ReadonlySet<Value>,
  elements?: ReadonlyMap<Value, TensorData>,
  isBody = false,
): GraphProto {
  const initializers = [...constants].map((value) => {
    const data = elements?.get(value) ?? value.constant;
    if (!data) throw new Error(`constant '${value.name}' has no elements`);
    return encodeTensor(data, names.of(value));
  });
  for (const input of graph.inputs) names.of(input);
  const nodes = graph.nodes.map((node) => encodeNode(node, names));
  // An output of the model has the name that the graph gives it, whatever the value is called inside. Those of a body go
  // by their positions.
  const computed = new Set(graph.nodes.flatMap((node) => node.outputs));
  const outputs = graph.outputs.map(({ name, value }) => {
    if (isBody && computed.delete(value)) return encodeValueInfo(names.of(value), value.knownType);
    if (names.of(value) !== name) {
      nodes.push(
        create(NodeProtoSchema, { opType: 'Identity', domain: '', name: '', input: [names.of(value)], output: [name] }),
      );
    }
    return encodeValueInfo(name, value.knownType);
  });
  return create(GraphProtoSchema, {
    name: graph.name,
    node: nodes,
    initializer: initializers,
    input: graph.inputs.map((value) => encodeValueInfo(names.of(value), value.knownType)),
    output: outputs,
  });
}

function encodeNode(node: Node, names: Names): NodeProto {
  const message: MessageInitShape<typeof NodeProtoSchema> = {
    opType: node.op,
    domain: node.domain,
    name: names.ofNode(node),
    input: node.inputs.map((input) => (input ? names.of(input) : '')),
    output: node.outputs.map((output) => names.of(output)),
    attribute: Object.entries(node.attributes).map(([name, attribute]) =>
      encodeAttribute(node.op, name, attribute, names),
    ),
  };
  return create(NodeProtoSchema, message);
}

function encodeAttribute(op: string, name: string, attribute: Attribute, names: Names): AttributeProto {
  switch (attribute.kind) {
    case 'int':
      return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(attribute.value) });
    case 'float':
      return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: attribute.value });
    case 'string':
      return isElementType(op, name) && isDataType(attribute.value)
        ? create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(onnxCode(attribute.value)) })
        : create(AttributeProtoSchema, { name, type: AttributeType.STRING, s: encodeText(attribute.value) });
    case 'ints':
      return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: attribute.value.map(BigInt) });
    case 'floats':
      return create(AttributeProtoSchema, { name, type: AttributeType.FLOATS, floats: [...attribute.value] });
    case 'strings':
      return create(AttributeProtoSchema, {
        name,
        type: AttributeType.STRINGS,
        strings: attribute.value.map(encodeText),
      });
    case 'tensor':
      return create(AttributeProtoSchema, { name, type: AttributeType.TENSOR, t: encodeTensor(attribute.value) });
    case 'graph':
      return create(AttributeProtoSchema, {
        name,
        type: AttributeType.GRAPH,
        g: encodeGraph(attribute.value, names, new Set(), undefined, true),
      });
  }
}

function encodeText(value: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(value);
}

function encodeValueInfo(name: string, type: TensorType | undefined): ValueInfoProto {
  if (!type) return create(ValueInfoProtoSchema, { name });
  const dim = type.shape.map((size) =>
    typeof size === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(size) } }
      : { value: { case: 'dimParam' as const, value: size } },
  );
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: onnxCode(type.dtype), shape: { dim } } } },
  });
}

/** Return the domains of a graph's operators, except ONNX's own. */
function domainsOf(graph: Graph, found = new Set<string>()): Set<string> {
  for (const node of graph.nodes) {
    if (node.domain !== '') found.add(node.domain);
    for (const inner of subgraphs(node)) domainsOf(inner, found);
  }
  return found;
}
