// Reads ONNX models into graphs: names kept, initializers and Constant nodes as named constants, every node in the form
// of opset 21. A file is not trusted: whatever is wrong with it is a FileError that names the place.

import type { AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, ValueInfoProto } from 'onnx-buf';
import { CgfacError, FileError, GraphError, UnsupportedError } from '../../errors.js';
import { GraphBuilder, type Semantics } from '../../graph/builder.js';
import { type Dimension, describeNode, type Graph, type TensorType, Value } from '../../graph/graph.js';
import type { OpDefinition, OpTable } from '../../ops/definition.js';
import { operatorName } from '../../ops/table.js';
import { isOnnx } from '../types.js';
import { boundAttributes, type DecodeGraph, decodeAttributes, decodeConstant } from './attributes.js';
import { deepestNesting } from './message.js';
import { opsetOf } from './opset.js';
import { type ImportedNode, upgradeNode } from './opset-upgrade.js';
import { Scope } from './scope.js';
import { checkedSize, decodeTensor, elementTypeOf, type ReadExternal } from './tensor.js';

export interface OnnxModel {
  readonly graph: Graph;
  /** The tensors that the file stores with the graph, used or not: what may be trained. */
  readonly initializers: readonly Value[];
  /** Version of ONNX's own operator set that the file was written for; the graph is of opset 21. */
  readonly opset: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface DecodeOptions {
  /** Reads tensors that are in files beside the model; without it they are refused. */
  readonly readExternal?: ReadExternal;
  /** Operators that cgfac does not know, by name: `my.domain.Name`. */
  readonly operators?: OpTable;
}

/** More nodes than any exporter writes; nested functions could stand for any number. */
const mostNodes = 1_000_000;

/**
 * Return the graph of a decoded file.
 * @param semantics gives operators their types; nothing is folded while reading
 * @throws FileError, UnsupportedError
 */
export function readModel(proto: ModelProto, semantics: Semantics, options: DecodeOptions = {}): OnnxModel {
  if (!proto.graph) throw new FileError('this is not an ONNX model: it holds no graph');
  try {
    const reader = new Reader(proto, semantics, options);
    const { graph, initializers } = reader.graph(proto.graph);
    const metadata = Object.fromEntries(proto.metadataProps.map(({ key, value }) => [key, value]));
    return { graph, initializers, opset: reader.opset, metadata };
  } catch (error) {
    throw error instanceof GraphError
      ? new FileError(`the model is not well formed: ${error.message}`, { cause: error })
      : error;
  }
}

/** The builder and the names that the nodes of one graph are read into. */
interface Destination {
  readonly b: GraphBuilder;
  readonly scope: Scope;
  readonly opset: number;
  readonly declared: ReadonlyMap<string, TensorType>;
  readonly depth: number;
  /** Attributes of the function whose body is read, by the names that its nodes refer to them by. */
  readonly bindings: ReadonlyMap<string, AttributeProto>;
}

class Reader {
  readonly opset: number;
  readonly #semantics: Semantics;
  readonly #readExternal: ReadExternal | undefined;
  readonly #operators: OpTable;
  readonly #functions = new Map<string, FunctionProto>();
  #nodes = 0;
  #unnamed = 0;

  constructor(proto: ModelProto, semantics: Semantics, { readExternal, operators = {} }: DecodeOptions) {
    this.#operators = operators;
    this.#semantics = whileReading(semantics);
    this.#readExternal = readExternal;
    this.opset = opsetOf(proto.opsetImport);
    for (const f of proto.functions) this.#functions.set(functionKey(f.domain, f.name, f.overload), f);
  }

  graph(proto: GraphProto, outer?: Destination, opset = this.opset): { graph: Graph; initializers: Value[] } {
    const depth = (outer?.depth ?? 0) + 1;
    if (depth > deepestNesting) throw new FileError('the graphs in this file are nested too deeply');
    const scope = new Scope(outer?.scope, outer?.scope.prefix);
    const b = new GraphBuilder(this.#semantics, outer?.b);
    const initializers = this.#initializers(proto, b, scope);
    // Before IR version 4 initializers were inputs as well, as defaults.
    const stored = new Set(proto.initializer.map(({ name }) => name));
    const inputs = proto.input.filter(({ name }) => !stored.has(name)).map((info) => this.#input(info, scope, !outer));
    const destination = {
      b,
      scope,
      opset,
      declared: this.#declaredTypes(proto),
      depth,
      bindings: outer?.bindings ?? new Map(),
    };
    this.#readNodes(proto.node, destination);
    const outputs = proto.output.map(({ name }) => ({ name, value: this.#result(name, scope, 'output') }));
    if (!outer && outputs.length === 0) throw new FileError('the model has no outputs');
    const built = b.build(proto.name, Object.fromEntries(outputs.map(({ value }, i) => [i, value])), inputs);
    return { graph: { ...built, outputs }, initializers };
  }

  #initializers(proto: GraphProto, b: GraphBuilder, scope: Scope): Value[] {
    const [sparse] = proto.sparseInitializer;
    if (sparse) throw new UnsupportedError(`the initializer '${sparse.values?.name}' is sparse; save it dense`);
    return proto.initializer.map((tensor) => {
      if (tensor.name === '') throw new FileError(`an initializer of graph '${proto.name}' has no name`);
      const value = b.constant(decodeTensor(tensor, this.#readExternal), tensor.name);
      scope.define(tensor.name, value, 'an initializer');
      return value;
    });
  }

  #input(info: ValueInfoProto, scope: Scope, typed: boolean): Value {
    const type = this.#typeOf(info);
    if (info.name === '') throw new FileError('an input of the model has no name');
    if (!type && typed) throw new UnsupportedError(`the input '${info.name}' is not a tensor of known rank`);
    const value = new Value(info.name, type);
    scope.define(info.name, value, 'an input');
    return value;
  }

  #readNodes(nodes: readonly NodeProto[], destination: Destination): void {
    const written = new Set(nodes.flatMap(({ output }) => output));
    for (const node of nodes) {
      this.#nodes += 1;
      if (this.#nodes > mostNodes) throw new FileError(`the model has more than ${mostNodes} nodes`);
      this.#node(node, destination, written);
    }
  }

  #node(proto: NodeProto, destination: Destination, written: ReadonlySet<string>): void {
    const { b, scope, opset, declared } = destination;
    if (proto.opType === '') throw new FileError(`the node '${proto.name}' has no operator`);
    const domain = isOnnx(proto.domain) ? '' : proto.domain;
    const name = scope.prefix + proto.name;
    const what = describeNode({ op: proto.opType, name });
    const inputs = proto.input.map((input) => {
      if (input === '') return undefined;
      if (scope.has(input)) return scope.get(input);
      const reason = written.has(input)
        ? 'is computed later: the nodes are out of order or form a cycle'
        : 'nothing computes';
      throw new FileError(`${what} reads '${input}', which ${reason}`);
    });
    const body = this.#functions.get(functionKey(proto.domain, proto.opType, proto.overload));
    if (body) {
      this.#call(proto, body, inputs, destination);
      return;
    }
    const given = boundAttributes(proto, destination.bindings);
    if (proto.opType === 'Constant' && domain === '') {
      const [output = ''] = proto.output;
      const value = b.constant(decodeConstant(proto, given, this.#readExternal), scope.prefix + output);
      scope.define(output, value, what);
      return;
    }
    const decodeGraph: DecodeGraph = (graph) => this.graph(graph, destination, opset).graph;
    const attributes = decodeAttributes(given, proto.opType, what, decodeGraph, this.#readExternal);
    const outputs = proto.output.map((output) => (output === '' ? '' : scope.prefix + output));
    const read: ImportedNode = { op: proto.opType, domain, name, inputs, attributes, outputs };
    const node = upgradeNode(read, opset, b);
    const values = b.node(node.op, node.inputs, node.attributes, {
      name: node.name,
      domain: node.domain,
      definition: own(this.#operators, operatorName(node)),
      outputs: node.outputs,
      types: proto.output.map((output) => declared.get(output)),
      fresh: true,
    });
    for (const [i, output] of proto.output.entries()) {
      if (output === '') continue;
      if (i < node.outputs.length) scope.define(output, values[i], what);
      else scope.refuse(output, new UnsupportedError(`${what} gives out '${output}', ${notInOpset21}`), what);
    }
  }

  /** Read a call of a function of the model: the nodes of its body, with the call's inputs and attributes. */
  #call(proto: NodeProto, f: FunctionProto, inputs: readonly (Value | undefined)[], caller: Destination): void {
    const what = `the function '${f.name}'`;
    const depth = caller.depth + 1;
    if (depth > deepestNesting) throw new FileError(`${what} calls itself, or calls are nested too deeply`);
    const prefix = `${caller.scope.prefix}${proto.name || proto.output[0]}/`;
    const scope = new Scope(undefined, prefix);
    for (const [i, name] of f.input.entries()) scope.define(name, inputs[i], what);
    const bindings = new Map(f.attributeProto.map((attribute) => [attribute.name, attribute]));
    for (const attribute of boundAttributes(proto, caller.bindings)) bindings.set(attribute.name, attribute);
    const opset = f.opsetImport.some(({ domain }) => isOnnx(domain)) ? opsetOf(f.opsetImport) : caller.opset;
    this.#readNodes(f.node, { b: caller.b, scope, opset, declared: new Map(), depth, bindings });
    for (const [i, name] of proto.output.entries()) {
      const result = f.output[i];
      if (name !== '' && result !== undefined) {
        caller.scope.define(name, this.#result(result, scope, `result of ${what}`), what);
      }
    }
  }

  #result(name: string, scope: Scope, what: string): Value {
    const value = scope.get(name);
    if (!value) throw new FileError(`the ${what} '${name}' is computed by no node`);
    return value;
  }

  #declaredTypes(proto: GraphProto): Map<string, TensorType> {
    const types = new Map<string, TensorType>();
    for (const info of [...proto.valueInfo, ...proto.output]) {
      const type = this.#typeOf(info);
      if (type) types.set(info.name, type);
    }
    return types;
  }

  /** Return the declared type; undefined if it is not a tensor or its rank is not known. Sizes without a name get one. */
  #typeOf({ name, type }: ValueInfoProto): TensorType | undefined {
    if (type?.value.case !== 'tensorType' || !type.value.value.shape) return undefined;
    const { elemType, shape } = type.value.value;
    const dims = shape.dim.map(({ value }): Dimension => {
      if (value.case === 'dimValue') return checkedSize(value.value, `'${name}'`);
      return value.case === 'dimParam' && value.value !== '' ? value.value : `unknown${this.#unnamed++}`;
    });
    try {
      return { dtype: elementTypeOf(elemType, `'${name}'`), shape: dims };
    } catch (error) {
      if (error instanceof UnsupportedError) return undefined; // strings and others that only unknown operators read
      throw error;
    }
  }
}

const own = (operators: OpTable, name: string): OpDefinition | undefined =>
  Object.hasOwn(operators, name) ? operators[name] : undefined;

const notInOpset21 =
  'an output that the operator lost before opset 21, and another node reads it; export with opset 17';

/** Return semantics in which types that cannot be known yet are unknown: shapes are computed, or of unknown operators. */
export function whileReading(semantics: Semantics): Semantics {
  return {
    infer: (node) => {
      try {
        return semantics.infer(node);
      } catch (error) {
        if (error instanceof CgfacError) return [];
        throw error;
      }
    },
    fold: () => undefined,
  };
}

const functionKey = (domain: string, name: string, overload: string): string =>
  JSON.stringify([domain, name, overload]);
