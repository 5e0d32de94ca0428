// Copies a graph into a builder, its inputs and parameters bound to other values: how a model becomes part of a program.
import { GraphError, UnsupportedError } from '../errors.js';
import type { GraphBuilder } from './builder.js';
import {
  type Attributes,
  bindOutputs,
  type Dimension,
  describeNode,
  type Graph,
  inputOf,
  int,
  mapBodies,
  type Node,
  stringAttribute,
  subgraphs,
  type TensorType,
  Value,
} from './graph.js';
import { protectedInputs } from './private-copy.js';
import { sequenceResult } from './sequences.js';
import { tensorFrom } from './tensor.js';

export interface Inlined {
  /** The outputs by name. */
  readonly outputs: ReadonlyMap<string, Value>;
  /** What each value of the copied graph became. */
  readonly values: ReadonlyMap<Value, Value>;
}

/**
 * Emit something else for a node, given the copies of its inputs.
 * @returns the outputs, as many as the node has and others read; undefined to copy the node as it is
 */
export type Rewrite = (
  node: Node,
  inputs: readonly (Value | undefined)[],
  b: GraphBuilder,
) => readonly (Value | undefined)[] | undefined;

/**
 * Emit the nodes of `graph` into `b`. Types are inferred anew, so a graph with a symbolic batch becomes concrete if its
 * inputs are bound to concrete values, and shape arithmetic folds away. An If whose condition is known by then is
 * replaced by the branch that it takes, a Loop of a known number of rounds by its rounds, a sequence by its members.
 * @param bindings inputs and parameters to replace; constants that are not bound are kept
 * @param rewrite what to emit instead of some nodes
 */
export function inline(b: GraphBuilder, graph: Graph, bindings: ReadonlyMap<Value, Value>, rewrite?: Rewrite): Inlined {
  const copy = new Copy(b, graph, bindings, rewrite);
  copy.emit(graph);
  return { outputs: copy.outputsOf(graph), values: copy.values };
}

/** Return the input of a Cast to the type that it has already: exporters of functions and of mixed precision write such. */
function redundantCastInput(node: Node, [x, like]: readonly (Value | undefined)[]): Value | undefined {
  if (node.domain !== '' || (node.op !== 'Cast' && node.op !== 'CastLike')) return undefined;
  const to = node.op === 'Cast' ? stringAttribute(node, 'to', '') : like?.knownType?.dtype;
  return to !== undefined && x?.knownType?.dtype === to ? x : undefined;
}

/** Nodes that a loop may become, those of bodies in its body included: a recurrent layer over a few hundred steps. */
const mostUnrolled = 20_000;
/** Nodes that all loops of a graph may become: loops within loops multiply. */
const mostUnrolledTogether = 100_000;

/** Nodes of a body, at least 1: rounds of an empty body cost something too. */
const sizeOf = (body: Graph): number =>
  body.nodes.reduce((sum, node) => sum + subgraphs(node).reduce((inner, graph) => inner + sizeOf(graph), 1), 1);

class Copy {
  readonly values: Map<Value, Value>;
  readonly #b: GraphBuilder;
  readonly #graph: Graph;
  readonly #rewrite: Rewrite | undefined;
  /** Members of sequences of tensors. */
  readonly #sequences = new Map<Value, readonly Value[]>();
  /** Nodes that loops have become. */
  #unrolled = 0;
  /** What the symbolic sizes are bound to: `batch` is 32. */
  readonly #sizes = new Map<string, Dimension>();

  constructor(b: GraphBuilder, graph: Graph, bindings: ReadonlyMap<Value, Value>, rewrite: Rewrite | undefined) {
    this.#b = b;
    this.#rewrite = rewrite;
    this.#graph = graph;
    this.values = new Map(bindings);
    for (const input of graph.inputs) {
      const bound = bindings.get(input)?.knownType?.shape ?? [];
      for (const [axis, size] of (input.knownType?.shape ?? []).entries()) {
        if (typeof size === 'string') this.#sizes.set(size, bound[axis] ?? size);
      }
    }
  }

  emit(graph: Graph): void {
    for (const node of graph.nodes) {
      const branch = this.#knownBranch(node);
      if (branch) {
        this.emit(branch);
        const results = branch.outputs.map(({ value }) => this.#resolve(value, node));
        bindOutputs(node, results, this.values);
      } else if (!this.#unpackSequence(node) && !this.#unroll(node)) this.#emitNode(node);
    }
  }

  /** Emit the members of a node that makes or reads a sequence of tensors; false for another node. */
  #unpackSequence(node: Node): boolean {
    const input = (index: number): Value => inputOf(node, index);
    const members = (index: number) => {
      const known = this.#sequences.get(input(index));
      if (known) return known;
      throw new UnsupportedError(
        `${describeNode(node)} reads a sequence whose members are only known when the program runs`,
      );
    };
    const result = sequenceResult(node, { tensor: (index) => this.#resolve(input(index), node), members }, this.#b);
    const [output] = node.outputs;
    if (!result || !output) return result !== undefined;
    if ('members' in result) this.#sequences.set(output, result.members);
    else this.values.set(output, result.tensor);
    return true;
  }

  /**
   * Emit the rounds of a Loop if their number is known: they can be differentiated, unlike the Loop. If a condition turns
   * out to be unknown, nothing reads what was emitted so far, and it is dropped when the graph is built.
   */
  #unroll(node: Node): boolean {
    const body = node.attributes.body;
    if (node.op !== 'Loop' || node.domain !== '' || body?.kind !== 'graph') return false;
    const [limit, start] = node.inputs.slice(0, 2).map((input) => input && this.#resolve(input, node));
    const rounds = limit?.constant && Number(limit.constant.data[0]);
    const size = sizeOf(body.value);
    if (rounds === undefined || rounds * size > mostUnrolled) return false;
    if (start && !start.constant) return false;
    const [iteration, condition, ...carriedInputs] = body.value.inputs;
    let carried = node.inputs.slice(2).map((input) => input && this.#resolve(input, node));
    const scans = node.outputs.slice(carried.length).map((): Value[] => []);
    let goesOn = !start || start.constant?.data[0] === 1;
    for (let round = 0; round < rounds && goesOn; round++) {
      this.#unrolled += size;
      if (this.#unrolled > mostUnrolledTogether) return false;
      if (iteration) this.values.set(iteration, this.#b.scalar(round, 'int64'));
      if (condition) this.values.set(condition, this.#b.constant(tensorFrom('bool', [], [1])));
      for (const [i, input] of carriedInputs.entries()) {
        const value = carried[i];
        if (value) this.values.set(input, value);
      }
      this.emit(body.value);
      const [again, ...results] = body.value.outputs.map(({ value }) => this.#resolve(value, node));
      if (!again?.constant) return false;
      goesOn = again.constant.data[0] === 1;
      carried = results.slice(0, carried.length);
      for (const [i, scan] of scans.entries()) {
        const element = results[carried.length + i];
        if (element) scan.push(this.#b.op('Unsqueeze', [element, this.#b.integers([0])]));
      }
    }
    if (scans.some((scan) => scan.length === 0)) return false;
    const stacked = scans.map((scan) => this.#b.op('Concat', scan, { axis: int(0) }));
    bindOutputs(node, [...carried, ...stacked], this.values);
    return true;
  }

  outputsOf(graph: Graph): ReadonlyMap<string, Value> {
    return new Map(graph.outputs.map(({ name, value }) => [name, this.#resolve(value)]));
  }

  #emitNode(node: Node): void {
    const inputs = node.inputs.map((input) => input && this.#resolve(input, node));
    const unchanged = redundantCastInput(node, inputs);
    const outputs = unchanged ? [unchanged] : (this.#rewrite?.(node, inputs, this.#b) ?? this.#copyNode(node, inputs));
    bindOutputs(node, outputs, this.values);
  }

  #copyNode(node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] {
    return this.#b.node(node.op, protectedInputs(this.#b, node, inputs), this.#attributes(node), {
      name: node.name,
      domain: node.domain,
      definition: node.definition,
      outputs: node.outputs.map(({ name }) => name),
      types: node.outputs.map(({ knownType }) => knownType && this.#concrete(knownType)),
    });
  }

  #resolve(value: Value, node?: Node): Value {
    const bound = this.values.get(value);
    if (bound) return bound;
    if (!value.constant) {
      throw new UnsupportedError(
        `the input '${value.name}' of graph '${this.#graph.name}'${node ? ` (read by ${describeNode(node)})` : ''} is not bound`,
      );
    }
    const name = value.constant.data.byteLength > 4096 ? value.name : undefined;
    const constant = this.#b.constant(value.constant, name);
    this.values.set(value, constant);
    return constant;
  }

  /** Return the branch that an If takes, if its condition is known: exporters guard shapes by such branches. */
  #knownBranch(node: Node): Graph | undefined {
    const [input] = node.inputs;
    if (node.op !== 'If' || node.domain !== '' || !input) return undefined;
    const { constant } = this.#resolve(input, node);
    if (constant?.data.length !== 1) return undefined;
    const name = constant.data[0] ? 'then_branch' : 'else_branch';
    const attribute = node.attributes[name];
    if (attribute?.kind !== 'graph') throw new GraphError(`${describeNode(node)} lacks its graph '${name}'`);
    return attribute.value;
  }

  /** Bodies read the copies of the values that they capture. */
  #attributes({ attributes }: Node): Attributes {
    return mapBodies(attributes, (graph) => this.#body(graph));
  }

  #body(graph: Graph): Graph {
    const own = (value: Value): Value => {
      const copy = new Value(value.name, value.knownType && this.#concrete(value.knownType));
      this.values.set(value, copy);
      return copy;
    };
    const inputs = graph.inputs.map(own);
    const nodes = graph.nodes.map((node): Node => {
      const copy: Node = {
        ...node,
        inputs: node.inputs.map((input) => input && this.#resolve(input, node)),
        attributes: this.#attributes(node),
        outputs: node.outputs.map(own),
      };
      for (const output of copy.outputs) output.producer = copy;
      return copy;
    });
    return {
      name: graph.name,
      inputs,
      nodes,
      outputs: graph.outputs.map(({ name, value }) => ({ name, value: this.#resolve(value) })),
    };
  }

  #concrete(type: TensorType): TensorType {
    return {
      dtype: type.dtype,
      shape: type.shape.map((size) => (typeof size === 'string' ? (this.#sizes.get(size) ?? size) : size)),
    };
  }
}
