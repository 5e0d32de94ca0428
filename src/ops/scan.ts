// Scan: a body once for each slice of sequences, with values carried from round to round. Its derivative is a Scan over the
// rounds in reverse order, so that derivatives of any order exist.
import { GraphError, UnsupportedError } from '../errors.js';
import {
  body as bodyAttribute,
  captures,
  type Dimension,
  type Graph,
  inputOf,
  int,
  ints,
  intsAttribute,
  type Node,
  outputOf,
  type TensorType,
  Value,
} from '../graph/graph.js';
import { inline } from '../graph/inline.js';
import { replaceValues } from '../graph/replace-values.js';
import { isFloatingPoint } from '../graph/tensor.js';
import type { Builder } from './builder.js';
import type { GradientContext, NodeDraft, OpFamily } from './definition.js';

/** A Scan with its parts told apart. */
interface ScanParts {
  readonly body: Graph;
  /** Number of values that rounds hand on. */
  readonly carried: number;
  /** Whether each sequence is read, and each output is written, from its end. */
  readonly readsFromEnd: readonly boolean[];
  readonly writesFromEnd: readonly boolean[];
}

/** @throws GraphError for a node without body, or that does not fit it; UnsupportedError for sequences along other axes than the first */
function partsOf(node: NodeDraft): ScanParts {
  const attribute = node.attributes.body;
  if (attribute?.kind !== 'graph') throw new GraphError("lacks its graph 'body'");
  const sequences = node.attributes.num_scan_inputs;
  if (sequences?.kind !== 'int') throw new GraphError("lacks the attribute 'num_scan_inputs'");
  for (const name of ['scan_input_axes', 'scan_output_axes']) {
    if (intsAttribute(node, name)?.some((axis) => axis !== 0)) {
      throw new UnsupportedError(`${name} other than 0, the first axis of each sequence`);
    }
  }
  const carried = node.inputs.length - sequences.value;
  const outputs = attribute.value.outputs.length - carried;
  if (carried < 0 || outputs < 0 || attribute.value.inputs.length !== node.inputs.length) {
    throw new GraphError(
      `has ${node.inputs.length} inputs and a body of ${attribute.value.inputs.length} inputs and ${attribute.value.outputs.length} outputs`,
    );
  }
  const directions = (name: string, count: number): boolean[] => {
    const given = intsAttribute(node, name);
    return Array.from({ length: count }, (_, i) => given?.[i] === 1);
  };
  return {
    body: attribute.value,
    carried,
    readsFromEnd: directions('scan_input_directions', sequences.value),
    writesFromEnd: directions('scan_output_directions', outputs),
  };
}

function infer(node: NodeDraft): (TensorType | undefined)[] {
  const { body, carried } = partsOf(node);
  let rounds: Dimension | undefined;
  for (const input of node.inputs.slice(carried)) {
    const size = input?.knownType?.shape[0];
    if (size === undefined) throw new GraphError('a sequence needs an axis to be read along');
    if (typeof rounds === 'number' && typeof size === 'number' && rounds !== size) {
      throw new GraphError(`sequences of ${rounds} and ${size} slices are read together`);
    }
    if (typeof rounds !== 'number') rounds = size;
  }
  return [
    ...node.inputs.slice(0, carried).map((input) => input?.knownType),
    ...body.outputs.slice(carried).map(({ value: { knownType } }): TensorType | undefined => {
      return knownType && rounds !== undefined
        ? { dtype: knownType.dtype, shape: [rounds, ...knownType.shape] }
        : undefined;
    }),
  ];
}

const isDifferentiable = (value: Value | undefined): value is Value =>
  value?.knownType !== undefined && isFloatingPoint(value.dtype);

/** A stand-in for a value that a body captures: differentiation inside the body ends there. */
interface StandIn {
  readonly captured: Value;
  readonly value: Value;
}

/**
 * The rounds in reverse order, each with the values that it began with: cotangents of what is carried go from round to
 * round, those of slices are put together to sequences, and those of captured values are summed over the rounds.
 */
function scanGradient(context: GradientContext): readonly (Value | undefined)[] {
  const { b, node, cotangents, isWanted } = context;
  const parts = partsOf(node);
  const { body, carried, readsFromEnd, writesFromEnd } = parts;
  const inner = b.nested();
  const standIns = [...captures(body)].map(
    (captured): StandIn => ({ captured, value: new Value(captured.name, captured.knownType) }),
  );
  const slices: Slices = { inner, read: [] };
  const begun = statesOfRounds(b, node, parts);
  const bindings = new Map<Value, Value>(standIns.map(({ captured, value }) => [captured, value]));
  for (const [i, input] of body.inputs.entries()) {
    const sequence = i < carried ? (begun[i] as Value) : inputOf(node, i); // a sequence for each carried value
    bindings.set(input, slice(slices, input.name, sequence, i < carried || readsFromEnd[i - carried] === false));
  }
  const results = [...inline(inner, body, bindings).outputs.values()];

  const states = body.inputs.slice(0, carried).flatMap((input, i) => (isDifferentiable(input) ? [i] : []));
  const handed = states.map((i) => inner.input(`cotangent_${i}`, inputOf(node, i).dtype, inputOf(node, i).shape));
  const seeds = states.map((i, k) => ({ value: results[i] as Value, cotangent: handed[k] as Value })); // as many results as states
  for (const [k, fromEnd] of writesFromEnd.entries()) {
    const cotangent = cotangents[carried + k];
    const value = results[carried + k];
    if (cotangent && value) {
      seeds.push({ value, cotangent: slice(slices, `cotangent_of_${k}`, cotangent, !fromEnd) });
    }
  }
  const sequences = readsFromEnd.flatMap((_, m) => (isWanted(carried + m) ? [carried + m] : []));
  const wanted = standIns.flatMap((each, k) => (isWanted(node.inputs.length + k) ? [each] : []));
  const sums = wanted.map(({ captured }) => inner.input(`sum_${captured.name}`, captured.dtype, captured.shape));
  const targets = [
    ...[...states, ...sequences].map((i) => body.inputs[i] as Value),
    ...wanted.map(({ captured }) => captured),
  ];
  const pulled = context.pull(
    inner,
    seeds,
    targets.map((target) => bindings.get(target) as Value), // bound above
  );
  const [ofStates, ofSequences, ofCaptured] = [
    pulled.slice(0, states.length),
    pulled.slice(states.length, states.length + sequences.length),
    pulled.slice(states.length + sequences.length),
  ];
  const outputs = inner.results([
    ...ofStates,
    ...ofCaptured.map((cotangent, k) => inner.add(sums[k] as Value, cotangent)), // a sum for each
    ...ofSequences,
  ]);

  const written = emit(b, {
    slices,
    standIns,
    carried: [...handed, ...sums],
    initial: [
      ...states.map((i) => cotangents[i] ?? b.zerosLike(outputOf(node, i))),
      ...wanted.map(({ captured }) => b.zerosLike(captured)),
    ],
    outputs,
    writesFromEnd: sequences.map((i) => readsFromEnd[i - carried] === false),
  });
  const found = new Map<number, Value | undefined>();
  for (const [k, i] of states.entries()) found.set(i, written[k]);
  for (const [k, { captured }] of wanted.entries()) {
    const position = node.inputs.length + standIns.findIndex((each) => each.captured === captured);
    found.set(position, written[states.length + k]);
  }
  for (const [k, i] of sequences.entries()) found.set(i, written[states.length + wanted.length + k]);
  return Array.from({ length: node.inputs.length + standIns.length }, (_, i) => found.get(i));
}

/** The sequences that the body of a new Scan reads. */
interface Slices {
  readonly inner: Builder;
  readonly read: { readonly input: Value; readonly sequence: Value; readonly fromEnd: boolean }[];
}

function slice({ inner, read }: Slices, name: string, sequence: Value, fromEnd: boolean): Value {
  const input = inner.input(name, sequence.dtype, sequence.shape.slice(1));
  read.push({ input, sequence, fromEnd });
  return input;
}

interface NewScan {
  readonly slices: Slices;
  readonly standIns: readonly StandIn[];
  /** What the body hands on, and what it begins with. */
  readonly carried: readonly Value[];
  readonly initial: readonly Value[];
  /** Results of the body: what is handed on, then slices of the new sequences. */
  readonly outputs: readonly Value[];
  readonly writesFromEnd: readonly boolean[];
}

/** Emit a Scan that reads no sequence but those that its results need. */
function emit(b: Builder, { slices, standIns, carried, initial, outputs, writesFromEnd }: NewScan): readonly Value[] {
  const named = Object.fromEntries(outputs.map((value, i) => [`next_${i}`, value]));
  const { nodes } = slices.inner.build('reversed', named, []);
  const used = new Set(nodes.flatMap((each) => [...each.inputs, ...bodiesOf(each)]));
  const read = slices.read.filter(({ input }) => used.has(input));
  const inputs = [...carried, ...read.map(({ input }) => input)];
  const graph = replaceValues(
    { ...slices.inner.build('reversed', named, inputs) },
    new Map(standIns.map(({ captured, value }) => [value, captured])),
  );
  return b.node(
    'Scan',
    [...initial, ...read.map(({ sequence }) => sequence)],
    scanAttributes(
      graph,
      read.map(({ fromEnd }) => fromEnd),
      writesFromEnd,
    ),
    { outputs: outputs.map((_, i) => `scanned_${i}`) },
  );
}

const bodiesOf = (node: Node): Value[] =>
  Object.values(node.attributes).flatMap((each) => (each.kind === 'graph' ? [...captures(each.value)] : []));

/** Return the attributes of a Scan. */
export const scanAttributes = (graph: Graph, readsFromEnd: readonly boolean[], writesFromEnd: readonly boolean[]) => ({
  body: bodyAttribute(graph),
  num_scan_inputs: int(readsFromEnd.length),
  ...(readsFromEnd.some((is) => is) && { scan_input_directions: ints(readsFromEnd.map(Number)) }),
  ...(writesFromEnd.some((is) => is) && { scan_output_directions: ints(writesFromEnd.map(Number)) }),
});

/** The values that each round begins with, as sequences in the order of the rounds: the same Scan gives them out. */
function statesOfRounds(b: Builder, node: Node, { body, carried, readsFromEnd }: ScanParts): readonly Value[] {
  if (carried === 0) return [];
  const inner = b.nested();
  const bindings = new Map<Value, Value>([...captures(body)].map((captured) => [captured, captured]));
  for (const [i, input] of body.inputs.entries()) {
    const given = inputOf(node, i);
    bindings.set(input, inner.input(input.name, given.dtype, i < carried ? given.shape : given.shape.slice(1)));
  }
  const inputs = body.inputs.map((input) => bindings.get(input) as Value); // bound above
  const results = [...inline(inner, body, bindings).outputs.values()].slice(0, carried);
  const outputs = inner
    .results([...results, ...inputs.slice(0, carried)])
    .map((value, i) => [`next_${i}`, value] as const);
  const graph = inner.build('begun', Object.fromEntries(outputs), inputs);
  const names = outputs.map(([name]) => name);
  return b.node('Scan', node.inputs, scanAttributes(graph, readsFromEnd, []), { outputs: names }).slice(carried);
}

function flops(node: Node, of: (node: Node) => number): number {
  const { body, carried } = partsOf(node);
  const rounds = inputOf(node, carried).knownType?.shape[0];
  const each = body.nodes.reduce((sum, inner) => sum + of(inner), 0);
  return typeof rounds === 'number' ? rounds * each : each;
}

export type ScanOp = 'Scan';

export const scanOps: OpFamily<ScanOp> = {
  Scan: { infer, gradient: scanGradient, flops },
};
