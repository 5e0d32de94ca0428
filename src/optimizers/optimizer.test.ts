// The contract of an optimizer: declarations by name, once each; parts with names of their own; optimizers and rules of one's own.
import { afterAll, describe, expect, it, test } from 'vitest';
import { manyExamples } from '../../test/support/setting.js';
import { empirical, exact } from '../curvature/fisher.js';
import { drawnDigits } from '../data/digits/digits.js';
import { nodeEngine } from '../engine/node.js';
import { OptionError } from '../errors.js';
import { lossOf } from '../losses/index.js';
import { mlp } from '../nn/zoo.js';
import { byProgress, byResidual } from '../solvers/stopping.js';
import { buildStep, scalarFeeds } from '../training/step-program.js';
import { train } from '../training/trainer.js';
import { adam } from './adam.js';
import { chain } from './chain.js';
import { muon } from './muon.js';
import { type Optimizer, type Steering, type StepContext, scoped, states } from './optimizer.js';
import { checked } from './options.js';
import { partition } from './partition.js';
import { cgfac } from './second-order/cgfac.js';
import { sketches } from './second-order/factors.js';
import { primal } from './second-order/primal.js';
import { tikhonov } from './second-order/tikhonov.js';
import { sgd } from './sgd.js';
import { type StepRule, steppedParameters } from './steps/rule.js';
import { centralizeGradients } from './transforms/centralize.js';
import { scaleBySign } from './transforms/sign.js';

const loss = lossOf('softmax-cross-entropy');

/** The step of an optimizer on a small classifier. */
const stepOf = (build: Optimizer['build']) => stepWith({ name: 'own', build });

const stepWith = (optimizer: Optimizer) =>
  buildStep({
    model: mlp({ seed: 1, sizes: [3, 2] }),
    loss,
    metric: loss.metric,
    optimizer,
    setting: manyExamples(loss),
    inputs: { dtype: 'float32', shape: [4, 3] },
    targets: { dtype: 'int64', shape: [4] },
  });

const unchanged = ({ parameters }: StepContext) => new Map(parameters);

describe('what a step declares', () => {
  it.each<readonly [string, (context: StepContext) => unknown]>([
    ["declares 'scalar.rate' twice", ({ scalar }) => [scalar('rate', 1), scalar('rate', 2)]],
    [
      "declares 'state.v' twice",
      ({ b, state }) => [state('v', [], (old) => b.mul(old, 2)), state('v', [], (old) => b.mul(old, 3))],
    ],
    ["declares 'state.h' twice", ({ hold }) => [hold('h', []), hold('h', [])]],
    ["the optimizer's state 'h' has no value after the step", ({ hold }) => hold('h', [])],
    [
      "the optimizer's state 'h' has two values after the step",
      ({ hold }) => {
        const { old, become } = hold('h', []);
        become(old);
        become(old);
      },
    ],
    ["declares 'noise.n' twice", ({ noise }) => [noise('n', [1], 'sign'), noise('n', [2], 'sign')]],
    [
      "declares 'diagnostic.d' twice",
      ({ report, scalar }) => {
        const value = scalar('x', 1);
        report('d', value);
        report('d', value);
      },
    ],
    [
      "state 'v' is float32[2] and becomes float32[3]",
      ({ b, state }) => state('v', [2], () => b.filled([3], 1, 'float32')),
    ],
  ])('is refused where it %s', (message, declare) => {
    const build = (context: StepContext) => {
      declare(context);
      return unchanged(context);
    };
    expect(() => stepOf(build)).toThrow(OptionError);
    expect(() => stepOf(build)).toThrow(message);
  });

  it('is a map of parameters, or an object with one', () => {
    const build = (() => undefined) as unknown as Optimizer['build'];
    expect(() => stepOf(build)).toThrow("the step of optimizer 'own' is undefined; return a map of new parameters");
  });

  it('is fed by functions of the step and of the steps that were kept; schedules see the step alone', () => {
    const step = stepOf((context) => {
      context.scalar('both', (k, kept) => 10 * k + kept);
      context.scalar(
        'schedule',
        checked('rate', (k, offset = 100) => k + offset, {}),
      );
      return unchanged(context);
    });
    const numbers = Object.fromEntries(
      Object.entries(scalarFeeds(step, 7, 5)).map(([name, { data }]) => [name, data[0]]),
    );
    expect(numbers).toEqual({ 'scalar.both': 75, 'scalar.schedule': 107 });
  });

  it('of a part has names of its own, and steers by the names that the part reports by', () => {
    const seen: Readonly<Record<string, number>>[] = [];
    const step = stepOf((context) => {
      const part = scoped(context, 'part');
      const rate = part.scalar('rate', 1);
      part.state('v', [], (old) => context.b.add(old, rate));
      part.report('rate', rate);
      part.steer({
        observe: (_, diagnostics) => seen.push(diagnostics),
        snapshot: () => ({}),
        restore: () => undefined,
      });
      return unchanged(context);
    });
    expect([...step.scalars.keys()]).toEqual(['part.rate']);
    expect(Object.keys(step.initialState)).toEqual(['state.part.v']);
    expect(step.diagnostics).toEqual(['part.rate']);
    for (const steering of step.steering) steering.observe(0, { 'part.rate': 1, loss: 2 });
    expect(seen).toEqual([{ rate: 1, loss: 2 }]);
  });

  it('may be states whose new values are made together', () => {
    const step = stepOf((context) => {
      const { b } = context;
      const shapes = new Map([
        ['x', [2]],
        ['y', [2]],
      ]);
      const { sum } = states(context, shapes, (old) => ({
        next: new Map([
          ['x', old('y')],
          ['y', b.add(old('x'), 1)],
        ]),
        sum: b.add(old('x'), old('y')),
      }));
      context.report('sum', b.sum(sum));
      return unchanged(context);
    });
    expect(Object.keys(step.initialState).sort()).toEqual(['state.x', 'state.y']);
    expect(() => stepOf((context) => states(context, new Map([['x', []]]), () => ({ next: new Map() })).next)).toThrow(
      "no state 'x' is declared together with these",
    );
  });
});

const engine = await nodeEngine({ worker: false, threads: 1 });
afterAll(() => engine.close());
const run = (optimizer: Optimizer, steps: number) =>
  train(mlp({ seed: 1, sizes: [784, 12, 10] }), {
    engine,
    data: drawnDigits({ trainSize: 100, testSize: 10 }),
    optimizer,
    steps,
    batchSize: 50,
  });

/** Descent along signs, whose rate shrinks when the loss rises. */
function signDescent(): Optimizer {
  return {
    name: 'sign-descent',
    build({ b, parameters, gradients, scalar, steer, report }) {
      let [rate, last] = [0.004, Number.POSITIVE_INFINITY];
      const steering: Steering = {
        observe(_step, { loss: now = Number.NaN }) {
          if (now > last) rate /= 2;
          last = now;
        },
        snapshot: () => ({ rate, last }),
        restore: (snapshot) => ({ rate = rate, last = last } = snapshot),
      };
      steer(steering);
      const shared = scalar('rate', () => rate);
      report('rate', shared);
      return new Map(
        [...parameters].map(([name, parameter]) => {
          const gradient = gradients.get(name);
          return [name, gradient ? b.sub(parameter, b.mul(b.sign(gradient), shared)) : parameter];
        }),
      );
    },
  };
}

test('what a step makes of parameters that it was not given, or in another type, is refused', () => {
  expect(() => stepOf(({ b, parameters }) => new Map([...parameters, ['fc9.bias', b.scalar(0, 'float32')]]))).toThrow(
    "the step of optimizer 'own' has the parameter 'fc9.bias', and it was given fc1.weight, fc1.bias",
  );
  expect(() => stepOf(({ b, parameters }) => new Map([...parameters].map(([name, x]) => [name, b.sum(x)])))).toThrow(
    "makes the parameter 'fc1.weight', which is float32[3, 2], float32[]: a parameter keeps its type",
  );
});

test('a step that trains nothing is refused, also in a part', () => {
  const idle: Optimizer = { name: 'idle', build: () => new Map() };
  expect(() => stepWith(idle)).toThrow(OptionError);
  expect(() => stepWith(idle)).toThrow(
    "the step of optimizer 'idle' has no parameter, so nothing would be trained: return the new values of some of fc1.weight, fc1.bias",
  );
  expect(() => stepWith({ name: 'idle', build: () => ({ parameters: new Map() }) })).toThrow(
    /nothing would be trained/,
  );
  const parts = [
    ['*.weight', sgd()],
    ['*', idle],
  ] as const;
  expect(() => stepWith(partition(parts))).toThrow(/'idle' has no parameter.* some of fc1.bias/);
});

test.each([
  ['empirical', empirical],
  ['exact', exact],
  ['scaleBySign', scaleBySign],
  ['centralizeGradients', centralizeGradients],
])('%s has no options and refuses one', (name, make) => {
  expect(() => make({ tolerance: 1 } as never)).toThrow(OptionError);
  expect(() => make({ tolerance: 1 } as never)).toThrow(`unknown option 'tolerance' of ${name}; it takes no options`);
});

test('nesterov without momentum is refused', () => {
  for (const make of [sgd, muon]) {
    expect(() => make({ momentum: 0, nesterov: true })).toThrow(/nesterov has no effect without momentum/);
    expect(() => make({ momentum: 0, nesterov: false })).not.toThrow();
  }
});

test.each([
  ['gauss', "the distribution of the noise 'drawn' is 'gauss'; it must be 'uniform' or 'normal' or 'sign'"],
  [undefined, "the distribution of the noise 'drawn' is 'undefined'"],
])('noise of a distribution %s that there is not is refused', (word, message) => {
  const build = ({ noise, parameters }: StepContext) => {
    noise('drawn', [2], word as never);
    return parameters;
  };
  expect(() => stepOf(build)).toThrow(message);
});

test('an optimizer may be an object of a class', () => {
  class Own implements Optimizer {
    readonly name = 'own';
    readonly #rate = 0.1;
    build({ b, parameters, gradients }: StepContext) {
      return new Map([...parameters].map(([name, x]) => [name, b.sub(x, b.mul(gradients.get(name) ?? x, this.#rate))]));
    }
  }
  expect([...stepWith(new Own()).updates.values()]).toEqual(['parameter.fc1.weight', 'parameter.fc1.bias']);
});

test('an optimizer of one’s own trains, and a run begins with what steers it anew', async () => {
  const optimizer = signDescent();
  const [first, second] = [await run(optimizer, 8), await run(optimizer, 8)];
  const losses = first.record.steps.map((step) => step.loss);
  expect(losses.at(-1)).toBeLessThan(0.9 * (losses[0] ?? 0));
  expect(second.record.steps.map((step) => step.loss)).toEqual(losses);
  expect(first.record.steps[0]?.optimizer.rate).toBeCloseTo(0.004, 8);
});

test('so does a rule of one’s own for the length of second-order steps', async () => {
  const fixed: StepRule = {
    name: 'fixed',
    relativeDamping: true,
    remedy: 'Take shorter steps',
    begin(context) {
      const { b, scalar } = context;
      const rate = scalar('rate', -4);
      return {
        damping: scalar('damping', 0.5),
        build({ blocks }) {
          const steps = blocks.map(({ block, direction }) => ({
            block,
            step: direction.map((part) => b.mul(part, rate)),
          }));
          return {
            parameters: steppedParameters(context, steps),
            squaredLength: blocks.map(({ direction }) => direction.dot(b, direction)).reduce((x, y) => b.add(x, y)),
          };
        },
      };
    },
  };
  const { record } = await run(cgfac({ step: fixed }), 8);
  const losses = record.steps.map((step) => step.loss);
  expect(losses.at(-1)).toBeLessThan(0.9 * (losses[0] ?? 0));
});

test('conjugate gradients that mostly do not converge are warned of at the end', async () => {
  const factors = sketches({ rank: 8 });
  const few = await run(
    cgfac({ damping: tikhonov({ maxIterations: 1, stopping: byResidual({ tolerance: 1e-6 }) }), factors }),
    4,
  );
  expect(few.warnings).toContain(
    'In 4 of 4 steps conjugate gradients ended at maxIterations (1), before the residual fell to 0.000001: allow more of them, or raise the damping.',
  );
  const rows = await run(
    cgfac({ damping: primal({ maxIterations: 1, stopping: byResidual({ tolerance: 1e-6 }) }) }),
    2,
  );
  expect(rows.warnings.some((warning) => warning.includes('conjugate gradients ended'))).toBe(true);
  const enough = await run(
    cgfac({ damping: tikhonov({ maxIterations: 200, stopping: byResidual({ tolerance: 0.1 }) }), factors }),
    4,
  );
  expect(enough.warnings.some((warning) => warning.includes('conjugate gradients'))).toBe(false);
  const short = await run(cgfac({ damping: tikhonov({ maxIterations: 5, stopping: byProgress() }), factors }), 2);
  expect(short.record.steps.map(({ optimizer }) => optimizer.progress)).toEqual([1, 1]);
  expect(short.warnings.some((warning) => warning.includes('before the progress fell to 0.0005'))).toBe(true);
  const long = await run(cgfac({ damping: tikhonov({ maxIterations: 200, stopping: byProgress() }), factors }), 2);
  for (const { optimizer } of long.record.steps) expect(optimizer.progress).toBeLessThanOrEqual(5e-4);
  expect(long.warnings.some((warning) => warning.includes('conjugate gradients'))).toBe(false);
});

test('a part of a chain that is a maker of one, or makes no updates, is refused by its name', () => {
  expect(() => stepWith(chain(sgd as never))).toThrow(/a part of a chain is the function sgd; call it: sgd\(\)/);
  expect(() => stepWith(chain(scaleBySign as never, sgd()))).toThrow(
    /the function scaleBySign; call it: scaleBySign\(\)/,
  );
  const nothing = (_: StepContext, __: unknown) => undefined;
  expect(() => stepWith(chain(nothing as never))).toThrow(
    /the function nothing, returned undefined; a transform returns/,
  );
  expect(() => stepWith(chain(adam(), adam()))).toThrow(
    /twice: give each its own name, and each of two parts of one kind/,
  );
});
