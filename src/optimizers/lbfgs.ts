// L-BFGS (Nocedal 1980; Nocedal & Wright 2006, algorithm 7.4) with a strong Wolfe line search, as PyTorch's: of the whole training
// set in each step.
import { gradients } from '../autodiff/gradients.js';
import { OptionError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { elementCount } from '../graph/tensor.js';
import { Objective } from '../losses/objective.js';
import type { Builder } from '../ops/builder.js';
import { checkedCount, checkKeys, type OptionKeys } from '../options.js';
import { lineSearch } from '../solvers/line-search.js';
import { type Optimizer, type StepContext, states } from './optimizer.js';

export interface LbfgsOptions {
  /** Number of pairs of steps and changes of the gradient that are kept, each as large as the parameters; 10 by default. */
  readonly history?: number;
  /** Most evaluations of loss and gradient in the line search of a step; 25 by default. */
  readonly maxEvaluations?: number;
}

const keys: OptionKeys<LbfgsOptions> = { history: true, maxEvaluations: true };

/** ⟨s, y⟩ has to exceed it: a pair of less curvature is not kept. */
const leastCurvature = 1e-10;

/** The line search ends where no element of a parameter would change by as much. */
const leastChange = 1e-9;

/**
 * Return L-BFGS. It needs the whole training set in each step, `batchSize` being its size, and a loss that does not change from
 * step to step: no augmentation, no dropout. A step costs two evaluations of loss and gradient, rarely more; it reports their
 * number and the `stepLength`, which is 0 if no lower loss was found: the run has then converged, or the next step begins anew
 * with the gradient.
 * @throws OptionError for unknown options and numbers out of range; when a run begins, for steps of a part of the training set
 * @example
 * const optimizer = lbfgs({ history: 20 });
 */
export function lbfgs(options: LbfgsOptions = {}): Optimizer {
  checkKeys('lbfgs', options, keys);
  const history = checkedCount('history', options.history ?? 10);
  const maxEvaluations = checkedCount('maxEvaluations', options.maxEvaluations ?? 25);
  return {
    name: 'lbfgs',
    build(context) {
      checkWhole(context);
      if (context.lossGradients) {
        throw new OptionError(
          'lbfgs searches along lines by the gradients of the loss itself: leave out clipping and other transforms of gradients',
        );
      }
      const { b, forward, parameters, report } = context;
      const names = [...parameters.keys()].filter((name) => context.gradients.has(name));
      const flat = new Flat(names.map((name) => parameters.get(name)?.dims ?? []));
      const gradient = flat.joined(
        b,
        names.map((name) => context.gradients.get(name) as Value),
      ); // they have one
      const shapes = new Map<string, readonly number[]>([
        ...[['steps', [history, flat.size]] as const, ['changes', [history, flat.size]] as const],
        ...[['weights', [history]] as const, ['scale', []] as const],
        ...[['lastStep', [flat.size]] as const, ['lastGradient', [flat.size]] as const],
      ]);
      return states(context, shapes, (old) => {
        const pairs = joinedPairs(b, old, gradient, history);
        const direction = twoLoops(b, pairs, gradient);
        const slope = b.dot(gradient, direction);
        const hasPair = b.greater(pairs.scale, 0);
        // Without curvature, the first trial is short.
        const first = b.where(hasPair, 1, b.min(b.reciprocal(b.sum(b.abs(gradient))), 1));
        const parts = flat.parts(b, direction);
        const moved = (inner: Builder, at: Value): Map<string, Value> =>
          new Map(
            names.map((name, i) => [
              name,
              inner.add(parameters.get(name) as Value, inner.mul(parts[i] as Value, at)), // one part a name
            ]),
          );
        const { at, evaluations } = lineSearch(b, {
          evaluate: (inner, t) => alongLine(context, inner, moved(inner, t), parts),
          start: { value: forward.loss, slope },
          first,
          maxEvaluations,
          narrowest: b.div(leastChange, b.reduceMax(b.abs(direction))),
        });
        report('evaluations', b.cast(evaluations, at.dtype));
        report('stepLength', at);
        const goesOn = b.greater(at, 0);
        const next = new Map([
          ...[['steps', pairs.steps] as const, ['changes', pairs.changes] as const],
          // After a search without a result the history misleads: the next step is along the gradient.
          ['weights', b.where(goesOn, pairs.weights, 0)] as const,
          ['scale', b.where(goesOn, pairs.scale, 0)] as const,
          ...[['lastStep', b.mul(direction, at)] as const, ['lastGradient', gradient] as const],
        ]);
        return { next, parameters: moved(b, at) };
      });
    },
    remedy: () => 'Start from smaller weights',
    rateless: () => 'a line search sets the length of its steps; choose an optimizer such as adam',
  };
}

/** @throws OptionError if a step does not see the whole training set */
function checkWhole({ setting: { batchSize, examples } }: StepContext): void {
  if (batchSize >= examples) return;
  throw new OptionError(
    `lbfgs compares losses and gradients of different steps, so each must be of the whole training set: batchSize is ${batchSize}; set it to ${examples}`,
  );
}

/** Loss and slope at other parameters, along the direction of the parts. */
function alongLine(
  { objective, forward }: StepContext,
  b: Builder,
  moved: ReadonlyMap<string, Value>,
  parts: readonly Value[],
): { value: Value; slope: Value } {
  const { loss } = Objective.within(objective, b).evaluate(new Map([...forward.parameters, ...moved]));
  const slopes = gradients(b, loss, [...moved.values()]).map((each, i) => b.dot(each, parts[i] as Value)); // one a part
  return { value: loss, slope: slopes.reduce((x, y) => b.add(x, y)) };
}

/** Pairs (s, y) of the steps before, the newest last. */
interface Pairs {
  /** `[history, elements]`. */
  readonly steps: Value;
  readonly changes: Value;
  /** 1/⟨s, y⟩ of each; 0 if there is no such pair yet. */
  readonly weights: Value;
  /** ⟨s, y⟩/⟨y, y⟩ of the newest; 0 if there is none. */
  readonly scale: Value;
}

/** The pairs with that of the last step, unless it has no curvature. */
function joinedPairs(b: Builder, old: (name: string) => Value, gradient: Value, history: number): Pairs {
  const step = old('lastStep');
  const change = b.sub(gradient, old('lastGradient'));
  const curvature = b.dot(step, change);
  const kept = ['steps', 'changes', 'weights', 'scale'].map(old);
  const shifted = (inner: Builder, rows: Value, newest: Value): Value =>
    inner.concat([inner.slice(rows, 0, 1, history), inner.unsqueeze(newest, [0])], 0);
  const [steps, changes, weights, scale] = b.branch(
    b.greater(curvature, leastCurvature),
    (inner) => [
      shifted(inner, old('steps'), step),
      shifted(inner, old('changes'), change),
      shifted(inner, old('weights'), inner.reciprocal(curvature)),
      inner.div(curvature, inner.dot(change, change)),
    ],
    () => kept,
  );
  return { steps, changes, weights, scale } as Pairs; // both branches have four values
}

/** −H·g with the approximation H of the inverse Hessian. */
function twoLoops(b: Builder, { steps, changes, weights, scale }: Pairs, gradient: Value): Value {
  const [history = 0, size = 0] = steps.dims;
  const pairs = Array.from({ length: history }, (_, i) => ({
    step: b.reshape(b.slice(steps, 0, i, i + 1), [size]),
    change: b.reshape(b.slice(changes, 0, i, i + 1), [size]),
    weight: b.reshape(b.slice(weights, 0, i, i + 1), []),
  }));
  let vector = b.neg(gradient);
  const shares = new Map<number, Value>();
  for (const [i, { step, change, weight }] of [...pairs.entries()].reverse()) {
    const share = b.mul(b.dot(step, vector), weight);
    shares.set(i, share);
    vector = b.sub(vector, b.mul(change, share));
  }
  vector = b.mul(vector, b.where(b.greater(scale, 0), scale, 1));
  for (const [i, { step, change, weight }] of pairs.entries()) {
    const share = b.mul(b.dot(change, vector), weight);
    vector = b.add(vector, b.mul(step, b.sub(shares.get(i) ?? 0, share)));
  }
  return vector;
}

/** Tensors as one vector. */
class Flat {
  readonly #dims: readonly (readonly number[])[];
  readonly size: number;

  constructor(dims: readonly (readonly number[])[]) {
    this.#dims = dims;
    this.size = dims.reduce((sum, each) => sum + elementCount(each), 0);
  }

  joined(b: Builder, tensors: readonly Value[]): Value {
    return b.concat(
      tensors.map((tensor, i) => b.reshape(tensor, [elementCount(this.#dims[i] ?? [])])),
      0,
    );
  }

  parts(b: Builder, vector: Value): Value[] {
    let start = 0;
    return this.#dims.map((dims) => {
      const end = start + elementCount(dims);
      const part = b.reshape(b.slice(vector, 0, start, end), dims);
      start = end;
      return part;
    });
  }
}
