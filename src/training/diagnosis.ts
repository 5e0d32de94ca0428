// Finds the first tensor that is not finite: reruns a failed step with a flag for each of its tensors.
import type { Engine } from '../engine/engine.js';
import { TrainingError } from '../errors.js';
import { describeNode, type Value } from '../graph/graph.js';
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

/** The first tensor that is not finite, by one flag a node: x − x is 0 if x is finite, and NaN if not. */
async function firstInGraph(
  engine: Engine,
  step: StepProgram,
  feeds: Readonly<Record<string, TensorData>>,
): Promise<string> {
  const b = new Builder();
  const flags: Record<string, Value> = {};
  const described = new Map<string, string>();
  for (const [i, node] of step.graph.nodes.entries()) {
    for (const output of node.outputs) {
      if (!output.knownType || !isFloatingPoint(output.dtype)) continue;
      flags[`flag${i}`] = b.sum(b.sub(output, output));
      described.set(
        `flag${i}`,
        `the first tensor that is not finite is '${output.name}', computed by ${describeNode(node)}`,
      );
    }
  }
  const checks = b.build('checks', flags, step.graph.inputs);
  const program = await engine.compile({ ...checks, nodes: [...step.graph.nodes, ...checks.nodes] });
  try {
    const result = await program.run(feeds);
    for (const [name, description] of described) if (result[name] && !allFinite(result[name])) return description;
    return 'no tensor of the repeated step is not finite';
  } finally {
    await program.release();
  }
}

/** Return whether the batch in a step's feeds is finite. */
export const isFiniteBatch = (feeds: Readonly<Record<string, TensorData>>): boolean =>
  Object.entries(feeds).every(([name, data]) => !isOfBatch(name) || allFinite(data));

const allFinite = (tensor: TensorData): boolean => firstNotFinite(tensor) < 0;
