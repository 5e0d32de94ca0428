// What a run changes about an optimizer: its learning rate, groups of its parameters, its gradients, a rate that falls on a plateau.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Replay, type Replayed, replayed, traceNamed } from '../../test/support/optimizer-trace.js';
import { manyExamples } from '../../test/support/setting.js';
import { OptionError } from '../errors.js';
import { lossOf } from '../losses/index.js';
import { mlp } from '../nn/zoo.js';
import { buildStep } from '../training/step-program.js';
import { adadelta } from './adadelta.js';
import { adahessian } from './adahessian.js';
import { adam, adamw } from './adam.js';
import { adan } from './adan.js';
import { chain } from './chain.js';
import { type Group, parameterGroups } from './groups.js';
import { lars } from './lars.js';
import { lbfgs } from './lbfgs.js';
import { muon } from './muon.js';
import type { Optimizer } from './optimizer.js';
import { partition } from './partition.js';
import { type PlateauOptions, reduceOnPlateau } from './plateau.js';
import { prodigy } from './prodigy.js';
import { scheduleFreeAdamw } from './schedule-free.js';
import { cosine, inverseRoot, type Schedule } from './schedules.js';
import { cgfac } from './second-order/cgfac.js';
import { sgd } from './sgd.js';
import { sophiaG } from './sophia.js';
import { normalized } from './steps/normalized.js';
import { scheduled } from './steps/scheduled.js';
import { selfTuning } from './steps/self-tuning.js';
import { clipByGlobalNorm, clipByValue } from './transforms/clip.js';
import { withLearningRate } from './tuning.js';

const trace = traceNamed('adamw-mlp');
const signs: Replay = {
  noise: (step, name, dims) =>
    Array.from({ length: dims.reduce((x, y) => x * y, 1) }, (_, i) =>
      name.startsWith('signs') ? ((i + step) % 2) * 2 - 1 : 0.5,
    ),
};
const run = (optimizer: Optimizer): Promise<Replayed> => replayed(trace, optimizer, 'float64', signs);
const left = async (optimizer: Optimizer) => (await run(optimizer)).after;

function largest(found: Replayed['after'], expected: Replayed['after']): number {
  const differences = Object.entries(expected).flatMap(([step, parameters]) =>
    Object.entries(parameters).flatMap(([name, elements]) =>
      elements.map((x, i) => Math.abs((found[step]?.[name]?.[i] ?? Number.NaN) - x)),
    ),
  );
  return Math.max(...differences);
}

const first = '0.weight';
const times = (factor: number) => ({ times: factor });

describe('groups', () => {
  const ruleless: readonly (readonly [string, (rate: number, decay: number) => Optimizer])[] = [
    ['sgd', (learningRate, weightDecay) => sgd({ learningRate, weightDecay })],
    ['adamw', (learningRate, weightDecay) => adamw({ learningRate, weightDecay })],
    ['adan', (learningRate, weightDecay) => adan({ learningRate, weightDecay })],
    ['lars', (learningRate, weightDecay) => lars({ learningRate, weightDecay })],
    ['adadelta', (learningRate, weightDecay) => adadelta({ learningRate, weightDecay })],
  ];

  test.each(ruleless)('of %s are what partition makes of two optimizers', async (_, make) => {
    const grouped = parameterGroups(make(0.125, 0.5), [[first, { learningRate: times(4), weightDecay: times(0.25) }]]);
    const apart = partition([
      [first, make(0.5, 0.125)],
      ['*', make(0.125, 0.5)],
    ]);
    expect(largest(await left(grouped), await left(apart))).toBeLessThan(1e-12);
  });

  test('may have numbers of their own', async () => {
    const own: readonly Group[] = [[first, { learningRate: 0.5, weightDecay: 0 }]];
    const apart = partition([
      [first, adamw({ learningRate: 0.5, weightDecay: 0 })],
      ['*', adamw({ learningRate: 0.125 })],
    ]);
    expect(largest(await left(parameterGroups(adamw({ learningRate: 0.125 }), own)), await left(apart))).toBeLessThan(
      1e-12,
    );
    const decaying = parameterGroups(adam({ learningRate: 0.125 }), [['*', { weightDecay: 0.25 }]]);
    expect(await left(decaying)).toEqual(await left(adamw({ learningRate: 0.125, weightDecay: 0.25 })));
  });

  test.each([
    ['normalized', () => normalized({ weightDecay: 0 })],
    ['scheduled', () => scheduled({ klClip: 0 })],
  ] as const)('of %s steps of cgfac are as many times as long', async (_, step) => {
    const grouped = parameterGroups(cgfac({ step: step(), curvatureRows: 4 }), [[first, { learningRate: times(3) }]]);
    const [plain, tripled] = [await left(cgfac({ step: step(), curvatureRows: 4 })), await left(grouped)];
    const initial = (await left(sgd({ learningRate: 1e-300 })))[1] ?? {};
    for (const [name, elements] of Object.entries(plain[1] ?? {})) {
      const factor = name === first ? 3 : 1;
      for (const [i, x] of elements.entries()) {
        const begun = initial[name]?.[i] ?? 0;
        expect(tripled[1]?.[name]?.[i]).toBeCloseTo(begun + factor * (x - begun), 12);
      }
    }
  });

  test('decay of normalized steps may differ', async () => {
    const decaying = (weightDecay: number) => cgfac({ step: normalized({ weightDecay }), curvatureRows: 4 });
    const none = parameterGroups(decaying(0.5), [['*', { weightDecay: 0 }]]);
    expect(await left(none)).toEqual(await left(decaying(0)));
  });

  test.each([
    ['adamw', () => adamw()],
    ['cgfac', () => cgfac({ step: normalized(), curvatureRows: 4 })],
    ['prodigy', () => prodigy({ weightDecay: 0.1 })],
    ['muon', () => muon()],
  ] as const)('with a factor of 1 leave %s bit for bit as it is', async (_, make) => {
    const grouped = parameterGroups(make(), [[first, { learningRate: times(1), weightDecay: times(1) }]]);
    expect(await left(grouped)).toEqual(await left(make()));
  });

  test('refuse what has no effect', async () => {
    const wrong: readonly (readonly [() => Optimizer, RegExp])[] = [
      [
        () => parameterGroups(adam(), [['head.*', { learningRate: times(2) }]]),
        /'head.\*' matches no parameter that is trained; they are 0.weight/,
      ],
      [
        () =>
          parameterGroups(adam(), [
            ['*', { learningRate: times(2) }],
            [first, { learningRate: times(3) }],
          ]),
        /the group '0.weight' gets no parameter: the groups before it take all/,
      ],
      [
        () => parameterGroups(cgfac({ step: selfTuning(), curvatureRows: 4 }), [[first, { learningRate: times(2) }]]),
        /the group '0.weight' has no effect on cgfac: self-tuning steps choose their length .* choose normalized steps/,
      ],
      [() => parameterGroups(lbfgs(), [[first, { weightDecay: 0 }]]), /lbfgs/],
      [
        () => parameterGroups(adam({ learningRate: inverseRoot(0.1) }), [[first, { learningRate: 0.5 }]]),
        /learningRate of the group '0.weight' is 0.5, and that of the optimizer changes from step to step/,
      ],
      [() => parameterGroups(adam(), [[first, {}]]), /the group '0.weight' changes nothing/],
      [
        () => parameterGroups(adam(), [[first, { learningRate: times(-1) }]]),
        /is -1; it must be a finite number, at least 0/,
      ],
      [() => parameterGroups(adam(), [[first, { rate: 1 } as never]]), /unknown option 'rate' of the group '0.weight'/],
      [() => parameterGroups(adam(), []), /the groups of parameterGroups are an array of 0/],
      [() => parameterGroups(adam(), [first as never]), /group 1 of parameterGroups is '0.weight'; give a pair/],
    ];
    for (const [make, message] of wrong) {
      const attempt = async () => run(make());
      await expect(attempt()).rejects.toThrow(OptionError);
      await expect(attempt()).rejects.toThrow(message);
    }
  });
});

describe('another learning rate', () => {
  const halfway = (peak: number) => cosine(peak, 20);

  test.each([
    ['adam', (learningRate?: Schedule) => adam(learningRate === undefined ? {} : { learningRate }), 0.001],
    [
      'schedule-free',
      (learningRate?: Schedule) => scheduleFreeAdamw(learningRate === undefined ? {} : { learningRate }),
      0.0025,
    ],
    ['sophia-g', (learningRate?: Schedule) => sophiaG(learningRate === undefined ? {} : { learningRate }), 1e-4],
    [
      'scheduled cgfac',
      (learningRate?: Schedule) =>
        cgfac({ step: scheduled(learningRate === undefined ? {} : { learningRate }), curvatureRows: 4 }),
      0.1,
    ],
    [
      'normalized cgfac',
      (learningRate?: Schedule) =>
        cgfac({
          step: normalized({ weightDecay: 0.1, ...(learningRate !== undefined && { learningRate }) }),
          curvatureRows: 4,
        }),
      0.002,
    ],
  ] as const)('of %s is what its own option would be', async (_, make, usual) => {
    expect(await left(withLearningRate(make(), halfway))).toEqual(await left(make(cosine(usual, 20))));
  });

  test('is refused where there is none', async () => {
    const attempt = run(withLearningRate(cgfac({ step: selfTuning(), curvatureRows: 4 }), halfway));
    await expect(attempt).rejects.toThrow(/another learning rate has no effect on cgfac: self-tuning steps/);
    const own: Optimizer = { name: 'own', build: ({ parameters }) => new Map(parameters) };
    await expect(run(withLearningRate(own, halfway))).rejects.toThrow(
      'another learning rate has no effect on own, which has no learning rate',
    );
  });
});

describe('clipping before any optimizer', () => {
  const optimizers: readonly (readonly [string, () => Optimizer])[] = [
    ['adam', () => adam()],
    ['cgfac', () => cgfac({ step: normalized(), curvatureRows: 4 })],
    ['self-tuning cgfac', () => cgfac({ step: selfTuning(), curvatureRows: 4 })],
    ['adahessian', () => partition([['*', adahessian()]])],
    ['muon', () => muon()],
  ];

  test.each(optimizers)('leaves %s bit for bit as it is if the bounds are huge', async (_, make) => {
    const clipped = chain(clipByGlobalNorm(1e30), clipByValue(1e30), make());
    expect(await left(clipped)).toEqual(await left(make()));
  });

  test('is that of all gradients together, whatever the parts of the optimizer', async () => {
    const parts = partition([
      [first, sgd({ learningRate: 0.1, momentum: 0 })],
      ['*', sgd({ learningRate: 0.1, momentum: 0 })],
    ]);
    const [apart, whole] = [
      await run(chain(clipByGlobalNorm(0.01), parts)),
      await run(chain(clipByGlobalNorm(0.01), sgd({ learningRate: 0.1, momentum: 0 }))),
    ];
    expect(apart.after).toEqual(whole.after);
    expect(apart.reports.map(({ gradientNorm }) => gradientNorm)).toEqual(
      whole.reports.map(({ gradientNorm }) => gradientNorm),
    );
  });

  test('scales the step of a second-order optimizer that is linear in the gradient', async () => {
    const linear = () => cgfac({ step: scheduled({ klClip: 0, momentum: 0, learningRate: 0.5 }), curvatureRows: 4 });
    const [plain, clipped] = [await run(linear()), await run(chain(clipByGlobalNorm(0.05), linear()))];
    const norm = clipped.reports[0]?.gradientNorm ?? Number.NaN;
    expect(norm).toBeGreaterThan(0.05);
    const initial = (await left(sgd({ learningRate: 1e-300 })))[1] ?? {};
    for (const [name, elements] of Object.entries(plain.after[1] ?? {})) {
      for (const [i, x] of elements.entries()) {
        const begun = initial[name]?.[i] ?? 0;
        const expected = begun + ((x - begun) * 0.05) / (norm + 1e-6);
        expect(clipped.after[1]?.[name]?.[i]).toBeCloseTo(expected, 12);
      }
    }
  });
});

describe('reduceOnPlateau', () => {
  const recorded = (name: string) =>
    JSON.parse(readFileSync(new URL(`../../test/fixtures/schedules/${name}.json`, import.meta.url), 'utf8')) as {
      readonly learningRates: readonly number[];
      readonly metric: readonly number[];
    };
  const begun = (options: PlateauOptions, optimizer: Optimizer = sgd({ learningRate: 0.1 })) => {
    const { scalars, steering } = buildStep({
      model: mlp({ seed: 1, sizes: [4, 3] }),
      loss: lossOf('softmax-cross-entropy'),
      metric: lossOf('softmax-cross-entropy').metric,
      optimizer: reduceOnPlateau(optimizer, options),
      setting: manyExamples('softmax-cross-entropy'),
      inputs: { dtype: 'float32', shape: [8, 4] },
      targets: { dtype: 'int64', shape: [8] },
    });
    const [plateau] = steering;
    const rate = scalars.get('learningRate');
    if (!plateau || typeof rate !== 'function') throw new Error('nothing steers');
    return { plateau, rateAt: (step: number) => rate(step, step) };
  };
  const traces = [
    ['plateau', { factor: 0.5, patience: 2 }],
    [
      'plateau-cooldown',
      { factor: 0.1, patience: 1, threshold: 0.001, thresholdKind: 'absolute', cooldown: 3, minimum: 0.002 },
    ],
  ] as const;

  test.each(traces)('is PyTorch’s: %s', (name, options) => {
    const { learningRates, metric } = recorded(name);
    const [ofEvaluations, ofBatches] = [begun({ ...options, monitor: 'testLoss' }), begun({ ...options, every: 1 })];
    for (const [k, expected] of learningRates.entries()) {
      for (const { plateau, rateAt } of [ofEvaluations, ofBatches]) {
        expect(rateAt(k) / expected).toBeCloseTo(1, 12);
        plateau.observe(k, { loss: metric[k] ?? 0 });
        plateau.evaluated?.(k, { trainLoss: 0, testLoss: metric[k] ?? 0 });
      }
    }
  });

  test.each(traces)('goes on from a snapshot as if it had not stopped: %s', (name, options) => {
    const { metric } = recorded(name);
    const whole = begun({ ...options, every: 2 });
    let parts = begun({ ...options, every: 2 });
    for (const [k, loss] of metric.entries()) {
      const resumed = begun({ ...options, every: 2 });
      resumed.plateau.restore(JSON.parse(JSON.stringify(parts.plateau.snapshot())));
      parts = resumed;
      for (let step = 0; step <= k; step++) expect(parts.rateAt(step)).toBe(whole.rateAt(step));
      for (const { plateau } of [whole, parts]) plateau.observe(k, { loss });
    }
    expect(whole.rateAt(60)).toBeLessThan(0.1);
  });

  test('multiplies the rate of a schedule, and waits for what may rise', () => {
    const { plateau, rateAt } = begun(
      { monitor: 'testAccuracy', mode: 'max', patience: 0, factor: 0.5 },
      sgd({ learningRate: cosine(0.1, 100) }),
    );
    for (const [k, testAccuracy] of [0.5, 0.6, 0.6].entries()) plateau.evaluated?.(k, { testAccuracy });
    expect(rateAt(2)).toBe(cosine(0.1, 100)(2));
    expect(rateAt(3)).toBe(cosine(0.1, 100)(3) * 0.5);
    expect(plateau.warning?.()).toBeUndefined();
  });

  test('tells if what it watches never came', () => {
    const { plateau } = begun({ monitor: 'valLoss' });
    plateau.observe(0, { loss: 1 });
    plateau.evaluated?.(0, { testLoss: 1 });
    expect(plateau.warning?.()).toMatch(/watches 'valLoss', which no step and no evaluation of this run has given/);
  });

  test('refuses options that are wrong or have no effect', () => {
    const wrong: readonly (readonly [object, RegExp])[] = [
      [{ factor: 1 }, /factor is 1; it must be a finite number, greater than 0, less than 1/],
      [{ patience: -1 }, /patience is -1/],
      [{ mode: 'up' }, /mode is 'up'; it must be 'min' or 'max'/],
      [{ monitor: '' }, /monitor is ''/],
      [{ monitor: 'testLoss', every: 3 }, /every has no effect: 'testLoss' is looked at in each evaluation/],
      [{ patient: 3 }, /unknown option 'patient' of reduceOnPlateau \(did you mean 'patience'\?\)/],
    ];
    for (const [options, message] of wrong) expect(() => reduceOnPlateau(sgd(), options)).toThrow(message);
  });
});
