// Finds the first tensor that is not finite: reruns a failed step with a flag for each of its tensors.
import type { Engine } from '../engine/engine.js';
import { TrainingError } from '../errors.js';
import { body, describeNode, ints, intsAttribute, type Node, Value } from '../graph/graph.js';
import { firstNotFinite, isFloatingPoint, type TensorData } from '../graph/tensor.js';
import { Builder } from '../ops/builder.js';
import { isOfBatch, parameterKey, type StepProgram } from './step-program.js';

/**
 * Return the error for a loss that is not finite. It names a parameter that an update has made not finite, or else the first
 * tensor of the step that is not finite.
 * @param remedy the change of the optimizer that may help, to begin a sentence
 */
export async function diagnose(
  engine: Engine,
  step: StepProgram,
  feeds: Readonly<Record<string, TensorData>>,
  number: number,
  loss: number,
  remedy: string | undefined,
): Promise<TrainingError> {
  const culprit = await firstNonFinite(engine, step, feeds);
  return new TrainingError(
    `the loss is ${loss} at step ${number}: ${culprit}. ${adviceFor(!isFiniteBatch(feeds), number, remedy)}`,
  );
}

function adviceFor(brokenBatch: boolean, step: number, remedy: string | undefined): string {
  if (brokenBatch) return 'Correct or leave out such examples';
  if (step === 1)
    return 'No step had been taken: normalize the inputs, or look at the weights that the model begins with';
  return `${remedy ?? 'Take shorter steps'}, or look for values in the data that are far from the others`;
}

async function firstNonFinite(
  engine: Engine,
  step: StepProgram,
  feeds: Readonly<Record<string, TensorData>>,
): Promise<string> {
  const broken = Object.entries(feeds).find(([name, data]) => isOfBatch(name) && !allFinite(data));
  if (broken) return `the batch's tensor '${broken[0]}' is not finite`;
  const keys = [...step.parameters.keys()].map((name) => [name, parameterKey(name)] as const);
  const stored = await engine.read(keys.map(([, key]) => key));
  for (const [name, key] of keys) {
    if (stored[key] && !allFinite(stored[key]))
      return `the first tensor that is not finite is the parameter '${name}', after its last update`;
  }
  return firstInGraph(engine, step, feeds);
}

/** The first tensor that is not finite, by one flag a tensor: x − x is 0 if x is finite, and NaN if not. */
async function firstInGraph(
  engine: Engine,
  step: StepProgram,
  feeds: Readonly<Record<string, TensorData>>,
): Promise<string> {
  const b = new Builder();
  const flags: Record<string, Value> = {};
  const described = new Map<string, string>();
  const add = (flag: Value, { tensor, node }: Watched): void => {
    const name = `flag${described.size}`;
    flags[name] = b.sum(flag);
    described.set(name, `the first tensor that is not finite is '${tensor.name}', computed by ${describeNode(node)}`);
  };
  const nodes = step.graph.nodes.map((each) => {
    const { node, inner } = watchedScan(b, each);
    for (const { flag, watched } of inner) add(flag, watched);
    for (const tensor of node.outputs.slice(0, each.outputs.length)) {
      if (isWatched(tensor)) add(b.sub(tensor, tensor), { tensor, node: each });
    }
    return node;
  });
  const checks = b.build('checks', flags, step.graph.inputs);
  const program = await engine.compile({ ...checks, nodes: [...nodes, ...checks.nodes] });
  try {
    const result = await program.run(feeds);
    for (const [name, description] of described) if (result[name] && !allFinite(result[name])) return description;
    return 'no tensor of the repeated step is not finite';
  } finally {
    await program.release();
  }
}

/** A tensor with the node that computes it. */
interface Watched {
  readonly tensor: Value;
  readonly node: Node;
}

const isWatched = ({ knownType }: Value): boolean => knownType !== undefined && isFloatingPoint(knownType.dtype);

/** A Scan that also gives out a flag of each round for each tensor of its body, and the flags; another node as it is. */
function watchedScan(
  b: Builder,
  node: Node,
): { readonly node: Node; readonly inner: readonly { readonly flag: Value; readonly watched: Watched }[] } {
  const attribute = node.attributes.body;
  if (node.op !== 'Scan' || attribute?.kind !== 'graph') return { node, inner: [] };
  const { value: round } = attribute;
  const tensors = round.nodes.flatMap((each) =>
    each.outputs.filter(isWatched).map((tensor) => ({ tensor, node: each })),
  );
  const flagged = b.nested();
  const outputs = tensors.map(({ tensor }, i) => ({
    name: `round_flag_${i}`,
    value: flagged.sum(flagged.sub(tensor, tensor)),
  }));
  const { nodes } = flagged.build('flags', Object.fromEntries(outputs.map(({ name, value }) => [name, value])), []);
  const directions = intsAttribute(node, 'scan_output_directions');
  const rounds = node.inputs.at(-1)?.shape[0] ?? 1;
  const flags = tensors.map(({ tensor }, i) => new Value(`round_flag_${i}`, { dtype: tensor.dtype, shape: [rounds] }));
  return {
    node: {
      ...node,
      outputs: [...node.outputs, ...flags],
      attributes: {
        ...node.attributes,
        body: body({ ...round, nodes: [...round.nodes, ...nodes], outputs: [...round.outputs, ...outputs] }),
        ...(directions && { scan_output_directions: ints([...directions, ...flags.map(() => 0)]) }),
      },
    },
    inner: tensors.map((watched, i) => ({ watched, flag: flags[i] as Value })), // one a tensor
  };
}

/** Return whether the batch in a step's feeds is finite. */
export const isFiniteBatch = (feeds: Readonly<Record<string, TensorData>>): boolean =>
  Object.entries(feeds).every(([name, data]) => !isOfBatch(name) || allFinite(data));

const allFinite = (tensor: TensorData): boolean => firstNotFinite(tensor) < 0;
