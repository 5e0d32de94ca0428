// The graph of a model as TensorBoard draws it: a GraphDef (tensorflow/core/framework/graph.proto, node_def.proto, attr_value.proto)
// of operators, inputs, parameters and outputs, in boxes by the parts of their names. It holds no elements.
import { type Attribute, formatType, type Graph, type Node, type TensorType, type Value } from '../../graph/graph.js';
import type { DataType } from '../../graph/tensor.js';
import { UniqueNames } from '../../graph/unique-names.js';
import { encodeMessage, type Field, float, integer, message, text } from './message.js';

/** TensorFlow's numbers of element types. */
const typeNumbers: Partial<Record<DataType, number>> = {
  float32: 1,
  float64: 2,
  int32: 3,
  uint8: 4,
  int16: 5,
  int8: 6,
  int64: 9,
  bool: 10,
  bfloat16: 14,
  uint16: 17,
  float16: 19,
  uint32: 22,
  uint64: 23,
};

/** Return the graph of a model, encoded. @param names of the constants that are parameters or running averages */
export function encodeGraphDef(graph: Graph, names: ReadonlyMap<Value, string>): Uint8Array {
  const writer = new GraphWriter(names);
  const nodes = writer.nodesOf(graph);
  // Any version that shows shapes: 22 has been the producer's since TensorFlow 1.0.
  return encodeMessage([...nodes.map((fields) => message(1, fields)), message(4, [integer(1, 22)])]);
}

class GraphWriter {
  readonly #parameters: ReadonlyMap<Value, string>;
  readonly #taken = new UniqueNames();
  /** Of each value, the node that gives it, and which of its outputs it is. */
  readonly #sources = new Map<Value, string>();
  readonly #nodes: Field[][] = [];

  constructor(parameters: ReadonlyMap<Value, string>) {
    this.#parameters = parameters;
  }

  nodesOf(graph: Graph): Field[][] {
    for (const input of graph.inputs) this.#add(input.name, 'Placeholder', [], [input]);
    for (const node of graph.nodes) {
      const inputs = node.inputs.flatMap((input) => (input ? [this.#source(input)] : []));
      this.#add(this.#nameOf(node), node.op, inputs, node.outputs, attributesOf(node));
    }
    for (const { name, value } of graph.outputs) {
      // An output is often named as the value that it is.
      this.#add(`output/${name}`, 'Identity', [this.#source(value)], [value]);
    }
    return this.#nodes;
  }

  /** The node of a value; a constant gets its node where it is first read. */
  #source(value: Value): string {
    const found = this.#sources.get(value);
    if (found !== undefined) return found;
    const parameter = this.#parameters.get(value);
    const name = parameter ?? (value.name || 'constant');
    // Captured from nowhere: the values of Loop and If bodies are not drawn.
    return this.#add(name, parameter === undefined ? 'Const' : 'Parameter', [], [value]);
  }

  #add(
    name: string,
    op: string,
    inputs: readonly string[],
    outputs: readonly Value[],
    attributes: readonly Field[] = [],
  ) {
    const unique = this.#taken.unused(scoped(name));
    this.#taken.add(unique);
    for (const [index, output] of outputs.entries()) {
      if (!this.#sources.has(output)) this.#sources.set(output, index === 0 ? unique : `${unique}:${index}`);
    }
    this.#nodes.push([text(1, unique), text(2, op), text(3, inputs), ...attributes, ...typesOf(outputs)]);
    return unique;
  }

  /** A node without a name stands beside the parameter that it reads, or beside the node whose output it reads. */
  #nameOf(node: Node): string {
    if (node.name !== '') return node.name;
    const [first] = node.inputs;
    const parameter = node.inputs.flatMap((input) => (input && this.#parameters.get(input)) ?? []).at(0);
    const beside = scoped(parameter ?? (first && this.#sources.get(first)) ?? '');
    return `${beside.slice(0, beside.lastIndexOf('/') + 1)}${node.op}`;
  }
}

/** Dots and slashes divide names into boxes; other characters than TensorFlow's become underscores. */
const scoped = (name: string): string =>
  name
    .replace(/[^\w.\\/-]/g, '_')
    .split(/[./]+/)
    .filter((part) => part !== '')
    .join('/') || 'unnamed';

const attribute = (name: string, value: Field): Field => message(5, [text(1, name), message(2, [value])]);

function typesOf(outputs: readonly Value[]): Field[] {
  const types = outputs.map(({ knownType }) => knownType);
  const number = types[0] && typeNumbers[types[0].dtype];
  return [
    ...(number === undefined ? [] : [attribute('dtype', integer(6, number))]),
    attribute(
      '_output_shapes',
      message(
        1,
        types.map((type) => message(7, shapeOf(type))),
      ),
    ),
  ];
}

/** Sizes that are known only when the graph runs are -1. */
const shapeOf = (type: TensorType | undefined): Field[] =>
  type
    ? type.shape.map((size) =>
        message(2, typeof size === 'number' ? [integer(1, size)] : [integer(1, -1), text(2, size)]),
      )
    : [integer(3, 1)];

const attributesOf = (node: Node): Field[] =>
  Object.entries(node.attributes).map(([name, value]) => attribute(name, attributeValue(value)));

/** A text is bytes here, as UTF-8. */
function attributeValue(value: Attribute): Field {
  switch (value.kind) {
    case 'int':
      return integer(3, value.value);
    case 'float':
      return float(4, value.value);
    case 'string':
      return text(2, value.value);
    case 'ints':
      return message(1, [integer(3, value.value)]);
    case 'floats':
      return message(1, [float(4, value.value)]);
    case 'strings':
      return message(1, [text(2, value.value)]);
    case 'tensor':
      return text(2, formatType({ dtype: value.value.dtype, shape: value.value.dims }));
    case 'graph':
      return text(2, `${value.value.nodes.length} nodes`);
  }
}
