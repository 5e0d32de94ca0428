// A graph as readable text, one line a node: what `cgfac inspect` shows and what tests compare.
import { type Attribute, constantsOf, formatType, type Graph, type Node, type Value } from './graph.js';
import { isFloatingPoint, type TensorData, toNumbers } from './tensor.js';

/** Elements of a nameless constant that are written out. */
const mostElements = 8;

/**
 * Return the inputs, the named constants, the nodes in order and the outputs of a graph:
 *
 *     graph classifier
 *       input image : float32[batch, 784]
 *       constant fc1.weight : float32[500, 784]
 *       %0 = Gemm(image, fc1.weight) {transB=1} : float32[batch, 500]
 *       output scores = %0
 *
 * Values that nodes compute are numbered in order; small constants without a name are written out.
 */
export function printGraph(graph: Graph): string {
  return new Printer().graph(graph, '').join('\n');
}

class Printer {
  readonly #names = new Map<Value, string>();
  #computed = 0;

  graph(graph: Graph, indent: string): string[] {
    const inner = `${indent}  `;
    const lines = [`${indent}graph ${graph.name}`];
    for (const input of graph.inputs) {
      this.#names.set(input, input.name);
      lines.push(`${inner}input ${input.name} : ${formatType(input.knownType)}`);
    }
    for (const constant of constantsOf(graph)) {
      if (this.#names.has(constant) || isLiteral(constant)) continue;
      this.#names.set(constant, constant.name);
      lines.push(`${inner}constant ${constant.name} : ${formatType(constant.knownType)}`);
    }
    for (const node of graph.nodes) lines.push(...this.#node(node, inner));
    for (const { name, value } of graph.outputs) lines.push(`${inner}output ${name} = ${this.#name(value)}`);
    return lines;
  }

  #node(node: Node, indent: string): string[] {
    const inputs = node.inputs.map((input) => (input ? this.#name(input) : '_')).join(', ');
    const op = node.domain === '' ? node.op : `${node.domain}.${node.op}`;
    const attributes = Object.entries(node.attributes).map(([name, value]) => `${name}=${formatAttribute(value)}`);
    // Bodies come before the outputs are named: a body cannot read what its own node computes.
    const bodies = Object.values(node.attributes).flatMap((attribute) =>
      attribute.kind === 'graph' ? this.graph(attribute.value, `${indent}  `) : [],
    );
    const outputs = node.outputs.map((output) => {
      const name = `%${this.#computed++}`;
      this.#names.set(output, name);
      return name;
    });
    const types = node.outputs.map((output) => formatType(output.knownType)).join(', ');
    const braces = attributes.length > 0 ? ` {${attributes.join(', ')}}` : '';
    const note = node.name === '' ? '' : `  # ${node.name}`;
    return [`${indent}${outputs.join(', ')} = ${op}(${inputs})${braces} : ${types}${note}`, ...bodies];
  }

  #name(value: Value): string {
    if (isLiteral(value)) return formatElements(value.constant);
    return this.#names.get(value) ?? value.name;
  }
}

/** Whether a constant is nameless, as the builder makes them, and small enough to be read. */
const isLiteral = (value: Value): value is Value & { readonly constant: TensorData } =>
  value.constant !== undefined && value.name === 'constant' && value.constant.data.length <= mostElements;

function formatElements(data: TensorData): string {
  const numbers = toNumbers(data).map((number) => formatNumber(number, data));
  return data.dims.length === 0 ? (numbers[0] ?? '') : `[${numbers.join(', ')}]`;
}

function formatNumber(number: number, { dtype }: TensorData): string {
  if (dtype === 'bool') return number === 0 ? 'false' : 'true';
  if (!isFloatingPoint(dtype) || !Number.isFinite(number)) return String(number);
  const shortest = dtype === 'float32' ? shortestFloat32(number) : number;
  // The decimal point distinguishes a whole float from an integer.
  return Number.isInteger(shortest) && Math.abs(shortest) < 1e15 ? shortest.toFixed(1) : String(shortest);
}

/** Return the number of fewest digits that is read back as the same float32; nine digits always suffice. */
function shortestFloat32(number: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(number.toPrecision(digits));
    if (Math.fround(rounded) === number) return rounded;
  }
  return number;
}

function formatAttribute(attribute: Attribute): string {
  switch (attribute.kind) {
    case 'string':
      return attribute.value;
    case 'strings':
    case 'ints':
    case 'floats':
      return `[${attribute.value.join(', ')}]`;
    case 'tensor': {
      const { dtype, dims, data } = attribute.value;
      return data.length <= mostElements ? formatElements(attribute.value) : formatType({ dtype, shape: dims });
    }
    case 'graph':
      return attribute.value.name;
    default:
      return String(attribute.value);
  }
}
