// Builds graphs: infers types, folds and pools constants, reuses common subexpressions, drops dead code.
import { GraphError } from '../errors.js';
import { described } from '../options.js';
import {
  type Attribute,
  type Attributes,
  describeNode,
  formatType,
  type Graph,
  type Node,
  neededNodes,
  type OperatorRules,
  type Shape,
  type TensorType,
  Value,
} from './graph.js';
import { checkDataType, type DataType, type TensorData, tensorFrom } from './tensor.js';

/** What the builder asks of the operator table: output types, and the outputs themselves if they can be known now. */
export interface Semantics {
  infer(node: Omit<Node, 'outputs'>): readonly (TensorType | undefined)[];
  /** Outputs of a node all of whose inputs are known, or undefined to compute them when the program runs. */
  fold(node: Omit<Node, 'outputs'>): readonly TensorData[] | undefined;
}

export interface NodeOptions {
  readonly name?: string;
  readonly domain?: string;
  /** Names of the outputs, one for each output that is wanted. */
  readonly outputs?: readonly string[];
  /** Types of the outputs that the operator's own rule does not know, as the file declares them. */
  readonly types?: readonly (TensorType | undefined)[];
  /** The definition of an operator that a user made. */
  readonly definition?: OperatorRules | undefined;
  /** Never reuse an equal node: it must be computed in this very graph. */
  readonly fresh?: boolean;
}

export class GraphBuilder {
  readonly #semantics: Semantics;
  readonly #parent: GraphBuilder | undefined;
  readonly #nodes: Node[] = [];
  readonly #inputs: Value[] = [];
  readonly #constants: Map<string, Value>;
  readonly #expressions = new Map<string, readonly Value[]>();
  readonly #identities: Map<Value, number>;

  /** @param parent the builder of the enclosing graph, for the body of a Loop or an If */
  constructor(semantics: Semantics, parent?: GraphBuilder) {
    this.#semantics = semantics;
    this.#parent = parent;
    this.#constants = parent ? parent.#constants : new Map();
    this.#identities = parent ? parent.#identities : new Map();
  }

  /** Declare an input of the graph. */
  input(name: string, dtype: DataType, shape: Shape): Value {
    checkDataType(dtype);
    const sizes: unknown = shape;
    const isShape =
      Array.isArray(sizes) && sizes.every((size) => typeof size === 'string' || (Number.isInteger(size) && size >= 0));
    if (!isShape) {
      const found = Array.isArray(sizes) ? `[${sizes.map(described).join(', ')}]` : described(sizes);
      throw new GraphError(
        `the shape of the input '${name}' is ${found}; give whole numbers, or names of sizes that are not known`,
      );
    }
    const value = new Value(name, { dtype, shape });
    this.#inputs.push(value);
    return value;
  }

  /** Return a value that is known now; equal unnamed constants of up to 4,096 bytes are one value. */
  constant(data: TensorData, name?: string): Value {
    const make = () => new Value(name ?? 'constant', { dtype: data.dtype, shape: data.dims }, data);
    if (name !== undefined || data.data.byteLength > 4096) return make();
    const bytes = String.fromCharCode(...new Uint8Array(data.data.buffer, data.data.byteOffset, data.data.byteLength));
    const key = `${data.dtype}[${data.dims.join()}]${bytes}`;
    const pooled = this.#constants.get(key) ?? make();
    this.#constants.set(key, pooled);
    return pooled;
  }

  /** Return a large constant that is made once a graph: equal keys are one value. */
  pooled(key: string, make: () => TensorData): Value {
    const known = this.#constants.get(key);
    if (known) return known;
    const data = make();
    const value = new Value(key, { dtype: data.dtype, shape: data.dims }, data);
    this.#constants.set(key, value);
    return value;
  }

  scalar(value: number, dtype: DataType): Value {
    return this.constant(tensorFrom(dtype, [], [value]));
  }

  /** Return a one-dimensional int64 constant: axes, shapes, positions. */
  integers(values: readonly number[]): Value {
    return this.constant(tensorFrom('int64', [values.length], values));
  }

  /**
   * Add a node, or return the values of an equal one.
   * @throws GraphError naming the node if the inputs do not fit the operator
   */
  node(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    options: NodeOptions = {},
  ): readonly Value[] {
    for (const input of inputs) if (input !== undefined) checkOperand(op, input);
    const domain = options.domain ?? '';
    const { definition } = options;
    const draft = { op, domain, name: options.name ?? '', inputs, attributes, ...(definition && { definition }) };
    const key = options.fresh ? undefined : this.#expressionKey(draft, options.outputs?.length ?? 1);
    const known = key === undefined ? undefined : this.#find(key);
    if (known) return known;
    const outputs = this.#fold(draft) ?? this.#append(draft, options);
    if (key !== undefined) this.#expressions.set(key, outputs);
    return outputs;
  }

  /** Return the output of a node that has one. Another domain than ONNX's own stands before the operator: `com.microsoft.Inverse`. */
  op(
    op: string,
    inputs: readonly (Value | undefined)[],
    attributes: Attributes = {},
    options: NodeOptions = {},
  ): Value {
    const end = op.lastIndexOf('.');
    const named = end < 0 ? options : { ...options, domain: op.slice(0, end) };
    const [output] = this.node(op.slice(end + 1), inputs, attributes, named);
    return output as Value; // node() returns as many outputs as are asked for, and one by default
  }

  /** Return the graph that computes the outputs: nodes that none of them needs are dropped. */
  build(name: string, outputs: Readonly<Record<string, Value>>, inputs: readonly Value[] = this.#inputs): Graph {
    const nodes = neededNodes(this.#nodes, Object.values(outputs));
    return { name, inputs, outputs: Object.entries(outputs).map(([key, value]) => ({ name: key, value })), nodes };
  }

  /** Whether a node of this very graph computes a value. */
  protected computes({ producer }: Value): boolean {
    return producer !== undefined && this.#nodes.includes(producer);
  }

  #fold(draft: Omit<Node, 'outputs'>): readonly Value[] | undefined {
    return naming(draft, () => this.#semantics.fold(draft))?.map((data) => this.constant(data));
  }

  #append(draft: Omit<Node, 'outputs'>, options: NodeOptions): readonly Value[] {
    const types = naming(draft, () => this.#semantics.infer(draft));
    const outputs = (options.outputs ?? ['']).map(
      (name, i) => new Value(name || draft.op.toLowerCase(), types[i] ?? options.types?.[i]),
    );
    const node: Node = { ...draft, outputs };
    for (const output of outputs) output.producer = node;
    this.#nodes.push(node);
    return outputs;
  }

  #find(key: string): readonly Value[] | undefined {
    const parent = this.#parent;
    return this.#expressions.get(key) ?? (parent ? parent.#find(key) : undefined);
  }

  #identity(value: Value): number {
    const known = this.#identities.get(value);
    if (known !== undefined) return known;
    this.#identities.set(value, this.#identities.size);
    return this.#identities.size - 1;
  }

  /** Equal keys compute equal values; undefined for nodes with bodies, which are never shared. */
  #expressionKey(node: Omit<Node, 'outputs'>, outputs: number): string | undefined {
    const attributes: string[] = [];
    for (const name of Object.keys(node.attributes).sort()) {
      const attribute = node.attributes[name] as Attribute;
      if (attribute.kind === 'graph') return undefined;
      if (attribute.kind === 'tensor') attributes.push(`${name}=${this.#identity(this.constant(attribute.value))}`);
      else attributes.push(`${name}=${attribute.kind}:${JSON.stringify(String(attribute.value))}`);
    }
    const inputs = node.inputs.map((input) => (input ? this.#identity(input) : '-'));
    return `${node.domain}.${node.op}(${inputs.join()})${attributes.join()}>${outputs}`;
  }
}

/** @throws GraphError naming the operator for an operand that is no value, as callers in JavaScript may give */
export function checkOperand(op: string, operand: unknown): asserts operand is Value {
  if (operand instanceof Value) return;
  throw new GraphError(`an operand of ${op} is ${described(operand)}; give a value of the graph`);
}

/** Run a rule of a node's operator; its GraphErrors get the node's name and the types of its inputs. */
function naming<Result>(node: Omit<Node, 'outputs'>, rule: () => Result): Result {
  try {
    return rule();
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    const given = node.inputs.map((input) => (input ? formatType(input.knownType) : '—')).join(', ');
    throw new GraphError(`${describeNode(node)} of (${given}): ${error.message}`, { cause: error });
  }
}
