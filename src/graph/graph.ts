// The graph: values with type and shape, nodes that compute them, and graphs of nodes. Plain data, built by GraphBuilder.
import { GraphError, UnsupportedError } from '../errors.js';
import type { DataType, TensorData } from './tensor.js';

/** A size known now, or a named one known when the program runs (`'batch'`). */
export type Dimension = number | string;
export type Shape = readonly Dimension[];

export interface TensorType {
  readonly dtype: DataType;
  readonly shape: Shape;
}

/** An attribute of a node, tagged as ONNX tags it. */
export type Attribute =
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'ints'; readonly value: readonly number[] }
  | { readonly kind: 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: TensorData }
  | { readonly kind: 'graph'; readonly value: Graph };

export type Attributes = Readonly<Record<string, Attribute>>;

export const int = (value: number): Attribute => ({ kind: 'int', value });
export const ints = (value: readonly number[]): Attribute => ({ kind: 'ints', value });
export const float = (value: number): Attribute => ({ kind: 'float', value });
export const floats = (value: readonly number[]): Attribute => ({ kind: 'floats', value });
export const text = (value: string): Attribute => ({ kind: 'string', value });
export const texts = (value: readonly string[]): Attribute => ({ kind: 'strings', value });
export const elements = (value: TensorData): Attribute => ({ kind: 'tensor', value });
export const body = (value: Graph): Attribute => ({ kind: 'graph', value });

/**
 * Attributes for the nodes that `b.op` makes, tagged as ONNX tags them.
 * @example
 * const b = new Builder();
 * const y = b.op('LeakyRelu', [b.input('x', 'float32', ['batch', 3])], { alpha: attribute.float(0.1) });
 */
export const attribute = { int, ints, float, text } as const;

/**
 * A tensor in a graph: an input, a constant, or the output of a node. Compared by identity.
 * @example
 * const b = new Builder();
 * const y: Value = b.exp(b.input('x', 'float32', [2, 3]));
 * console.log(y.dtype, y.shape, y.producer?.op);
 */
export class Value {
  /** The name that it should have in a file; the writer makes names unique. */
  readonly name: string;
  /** The elements, if they are known when the graph is built (constants and parameters). */
  readonly constant: TensorData | undefined;
  /** The node that computes it; undefined for inputs and constants. */
  producer: Node | undefined;
  readonly #type: TensorType | undefined;

  constructor(name: string, type: TensorType | undefined, constant?: TensorData) {
    this.name = name;
    this.#type = type;
    this.constant = constant;
  }

  /** Undefined only for outputs of imported operators that cgfac does not know. */
  get knownType(): TensorType | undefined {
    return this.#type;
  }

  get type(): TensorType {
    if (!this.#type) {
      // What follows from an untyped value is untyped: the first one is to blame.
      let by = this.producer;
      for (let next = by; next; next = next.inputs.find((input) => input && !input.#type)?.producer) by = next;
      if (!by) throw new GraphError(`the type and shape of '${this.name}' are not known`);
      throw new UnsupportedError(
        `the type and shape of '${this.name}' are not known, because ${this.producer === by ? 'it is computed by' : 'it follows from'} ${describeNode(by)} and cgfac has ` +
          `no rule for this operator here; give its definition to loadModel (operators), replace it before exporting the model, or export with shape inference`,
      );
    }
    return this.#type;
  }

  get dtype(): DataType {
    return this.type.dtype;
  }

  get shape(): Shape {
    return this.type.shape;
  }

  get rank(): number {
    return this.type.shape.length;
  }

  /** The shape as numbers. @throws GraphError if a size is symbolic */
  get dims(): readonly number[] {
    return this.shape.map((size, axis) => {
      if (typeof size === 'number') return size;
      throw new GraphError(`axis ${axis} of '${this.name}' has the symbolic size '${size}', and a number is needed`);
    });
  }
}

/** One operation. `inputs` may have gaps: optional inputs that are left out. */
export interface Node {
  readonly op: string;
  /** '' is ONNX's own operator set. */
  readonly domain: string;
  readonly name: string;
  readonly inputs: readonly (Value | undefined)[];
  readonly outputs: readonly Value[];
  readonly attributes: Attributes;
  /** The definition of an operator that a user made; those of the operator table are found by their names. */
  readonly definition?: OperatorRules | undefined;
}

/** What a graph asks of an operator: the types of its outputs, and the outputs themselves if they can be known. */
export interface OperatorRules {
  /**
   * Types of all outputs that the operator can have.
   * @throws GraphError (without naming the node) if the inputs do not fit
   */
  readonly infer: (node: Omit<Node, 'outputs'>) => readonly (TensorType | undefined)[];
  /** Outputs that can be known when the graph is built (shape arithmetic). */
  readonly fold?: (node: Omit<Node, 'outputs'>) => readonly TensorData[] | undefined;
}

/** A graph in topological order. Values used but not defined inside are captured from an outer graph (Loop and If bodies). */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly Value[];
  /** The outputs by name: one value may be several outputs. */
  readonly outputs: readonly { readonly name: string; readonly value: Value }[];
  readonly nodes: readonly Node[];
}

/** Return a node's description for messages: `Gemm node 'fc1'`. */
export const describeNode = (node: Pick<Node, 'op' | 'name'>): string =>
  node.name ? `${node.op} node '${node.name}'` : `a ${node.op} node`;

/** Return a type as text: `float32[batch, 784]`. */
export const formatType = (type: TensorType | undefined): string =>
  type ? `${type.dtype}[${type.shape.join(', ')}]` : 'unknown';

/** Return an input of a node. @throws GraphError if the node lacks it */
export function inputOf(node: Pick<Node, 'op' | 'name' | 'inputs'>, index: number): Value {
  const value = node.inputs[index];
  if (!value) throw new GraphError(`${describeNode(node)} lacks its input ${index}`);
  return value;
}

/** Return an output of a node. @throws GraphError if the node lacks it */
export function outputOf(node: Node, index = 0): Value {
  const value = node.outputs[index];
  if (!value) throw new GraphError(`${describeNode(node)} has no output ${index}`);
  return value;
}

/** Return the graphs in a node's attributes: the bodies of Loop and If. */
export function subgraphs(node: Node): Graph[] {
  return Object.values(node.attributes).flatMap((attribute) => (attribute.kind === 'graph' ? [attribute.value] : []));
}

/** Return the attributes with each body replaced by what `change` makes of it. */
export const mapBodies = (attributes: Attributes, change: (graph: Graph) => Graph): Attributes =>
  Object.fromEntries(
    Object.entries(attributes).map(([name, each]) => [name, each.kind === 'graph' ? body(change(each.value)) : each]),
  );

/** Record what each output of a node becomes; outputs that nothing takes the place of are left out. */
export function bindOutputs(node: Node, results: readonly (Value | undefined)[], values: Map<Value, Value>): void {
  for (const [i, output] of node.outputs.entries()) {
    const result = results[i];
    if (result) values.set(output, result);
  }
}

/** Return the graph of the first output alone: other outputs may come from operators that cgfac does not know. */
export function firstOutputOf(graph: Graph): Graph {
  const outputs = graph.outputs.slice(0, 1);
  const nodes = neededNodes(
    graph.nodes,
    outputs.map(({ value }) => value),
  );
  return { ...graph, outputs, nodes };
}

/** Return the values that a graph uses and does not define: it captures them from outside. Constants are not counted. */
export function captures(graph: Graph): Set<Value> {
  const defined = new Set<Value>(graph.inputs);
  const captured = new Set<Value>();
  const use = (value: Value | undefined) => {
    if (value && !value.constant && !defined.has(value)) captured.add(value);
  };
  for (const node of graph.nodes) {
    for (const input of node.inputs) use(input);
    for (const body of subgraphs(node)) for (const value of captures(body)) use(value);
    for (const output of node.outputs) defined.add(output);
  }
  for (const output of graph.outputs) use(output.value);
  return captured;
}

/** Return the nodes, in their order, that some of the values depend on. */
export function neededNodes(nodes: readonly Node[], values: Iterable<Value>): Node[] {
  const live = new Set(values);
  const needed = [...nodes].reverse().filter((node) => {
    const isLive = node.outputs.some((output) => live.has(output));
    if (isLive) for (const value of dependencies(node)) live.add(value);
    return isLive;
  });
  return needed.reverse();
}

/** Return everything that a node reads: its inputs and what its subgraphs capture. */
export function dependencies(node: Node): Value[] {
  const inputs = node.inputs.filter((value) => value !== undefined);
  return [...inputs, ...subgraphs(node).flatMap((body) => [...captures(body)])];
}

/** Return the constants (parameters included) that a graph and its subgraphs read, each once. */
export function constantsOf(graph: Graph): Set<Value> {
  const constants = new Set<Value>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) if (input?.constant) constants.add(input);
    for (const body of subgraphs(node)) for (const value of constantsOf(body)) constants.add(value);
  }
  for (const { value } of graph.outputs) if (value.constant) constants.add(value);
  return constants;
}

export function intAttribute(node: Pick<Node, 'attributes'>, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'int' ? attribute.value : fallback;
}

export function floatAttribute(node: Pick<Node, 'attributes'>, name: string, fallback: number): number {
  const attribute = node.attributes[name];
  return attribute?.kind === 'float' ? attribute.value : fallback;
}

export function intsAttribute(node: Pick<Node, 'attributes'>, name: string): readonly number[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.kind === 'ints' ? attribute.value : undefined;
}

export function stringAttribute(node: Pick<Node, 'attributes'>, name: string, fallback: string): string {
  const attribute = node.attributes[name];
  return attribute?.kind === 'string' ? attribute.value : fallback;
}
