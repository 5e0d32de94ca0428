// Steps that are taken back in a run: parameters and the optimizer's states are as before, bit for bit, and the next step is
// another one.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { dataset } from '../data/dataset.js';
import type { Engine } from '../engine/engine.js';
import { nodeEngine } from '../engine/node.js';
import type { TensorData } from '../graph/tensor.js';
import { mlp } from '../nn/zoo.js';
import { lbfgs } from '../optimizers/lbfgs.js';
import { type Optimizer, stepResult } from '../optimizers/optimizer.js';
import { prodigy } from '../optimizers/prodigy.js';
import { scheduleFreeAdamw, scheduleFreeSgd } from '../optimizers/schedule-free.js';
import { cgfac } from '../optimizers/second-order/cgfac.js';
import { sgd } from '../optimizers/sgd.js';
import { sophiaG } from '../optimizers/sophia.js';
import { normalized } from '../optimizers/steps/normalized.js';
import { selfTuning } from '../optimizers/steps/self-tuning.js';
import { random } from '../random.js';
import type { StepRecord } from './run-record.js';
import { train } from './trainer.js';

let engine: Engine;
beforeAll(async () => {
  engine = await nodeEngine({ worker: false, threads: 1 });
});
afterAll(() => engine.close());

const [size, columns] = [32, 3];
const numbers = (label: string, count: number): Float32Array => {
  const drawn = new Float32Array(count);
  random(1, label).fillNormal(drawn);
  return drawn;
};
/** Noise: no step fits all of its batch. */
const table = dataset({
  name: 'table',
  size,
  inputs: { dtype: 'float32', shape: [columns], data: numbers('inputs', size * columns) },
  targets: { dtype: 'float32', shape: [1], data: numbers('targets', size) },
});

interface Seen {
  readonly record: StepRecord;
  /** The very bits of all that the step may have changed. */
  readonly store: ReadonlyMap<string, string>;
}

/** Trains, and reads the store of the run before its first step and after each. */
async function watched(optimizer: Optimizer, steps: number): Promise<{ start: Seen['store']; seen: Seen[] }> {
  const store = engine.open();
  const opened = vi.spyOn(engine, 'open').mockReturnValueOnce(store);
  const written = vi.spyOn(store, 'write');
  const seen: Seen[] = [];
  let start: Seen['store'] = new Map();
  try {
    await train(mlp({ sizes: [columns, 8, 1], seed: 1 }), {
      ...{ engine, optimizer, steps, batchSize: size, seed: 1 },
      ...{ data: { train: table, test: table }, normalize: false },
      callbacks: {
        onStep: async (record) => {
          // The averages of the iterates are another program's; those of a step that was taken back take it as it is then.
          const [initial = {}] = written.mock.calls[0] ?? [];
          const ofStep = Object.entries(initial).filter(([name]) => !name.startsWith('average.'));
          start = bitsOf(Object.fromEntries(ofStep));
          seen.push({ record, store: bitsOf(await store.read(ofStep.map(([name]) => name))) });
        },
      },
    });
  } finally {
    opened.mockRestore();
  }
  return { start, seen };
}

const bitsOf = (tensors: Readonly<Record<string, TensorData>>): Map<string, string> =>
  new Map(
    Object.entries(tensors).map(
      ([
        name,
        {
          data: { buffer, byteOffset, byteLength },
        },
      ]) => [name, Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength).toString('base64')],
    ),
  );

const accepted = ({ record }: Seen) => record.optimizer.accepted;

describe.each([
  {
    name: 'self-tuning: damping grows by 4',
    // The curvature of one example hides that of the others.
    optimizer: () =>
      cgfac({ curvatureRows: 1, step: selfTuning({ damping: 1e-6, minimumDamping: 1e-6, priorPrecision: 0 }) }),
    adapted: 'damping',
    factor: 4,
  },
  {
    name: 'normalized: the length is halved',
    optimizer: () => cgfac({ step: normalized({ learningRate: 1 }) }),
    adapted: 'learningRate',
    factor: 0.5,
  },
])('a step that raises the loss of its batch, $name', ({ optimizer, adapted, factor }) => {
  it('changes nothing but the next step', async () => {
    const { start, seen } = await watched(optimizer(), 12);
    let [before, refused] = [start, 0];
    for (const [i, each] of seen.entries()) {
      const { record, store } = each;
      if (accepted(each) === 0) {
        refused += 1;
        expect(store).toEqual(before);
        expect(record.optimizer.actualChange).toBeGreaterThan(0);
        const next = seen[i + 1]?.record.optimizer[adapted];
        if (next !== undefined) expect(next / (record.optimizer[adapted] ?? 0)).toBeCloseTo(factor, 5);
      } else {
        expect([...store.values()]).not.toEqual([...before.values()]);
        expect([...store.keys()].some((name) => name.startsWith('state.'))).toBe(true);
      }
      before = store;
    }
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(seen.length);
  });
});

it('a loss that is not finite after a step that was not measured takes that step back', async () => {
  // Measured are steps 0 to 9, and each tenth.
  const far = 12;
  const { seen } = await watched(
    cgfac({ step: normalized({ learningRate: (step) => (step === far ? 1e30 : 1e-3), weightDecay: 0 }) }),
    20,
  );
  expect(seen.flatMap((each, i) => (accepted(each) === 0 ? [i] : []))).toEqual([far + 1]);
  expect(seen[far + 1]?.record.loss).not.toSatisfy(Number.isFinite);
  expect(seen[far]?.store).not.toEqual(seen[far - 1]?.store);
  expect(seen[far + 1]?.store).toEqual(seen[far - 1]?.store);
  expect(seen.filter((_, i) => i !== far + 1).every(({ record }) => Number.isFinite(record.loss))).toBe(true);
  expect(seen.at(-1)?.record.loss).toBeLessThan(2 * (seen[0]?.record.loss ?? 0));
});

it('is told of also with an optimizer that does not steer by it', async () => {
  const plain = sgd();
  const refusing: Optimizer = {
    ...plain,
    build: (context) => ({
      ...stepResult(plain, context),
      accept: context.b.less(context.forward.loss, -1),
    }),
  };
  const refused = await watched(refusing, 2);
  for (const { record, store } of refused.seen) {
    expect(record.optimizer.accepted).toBe(0);
    expect(store).toEqual(refused.start);
  }
  const kept = await watched(plain, 1);
  expect(kept.seen[0]?.record.optimizer).not.toHaveProperty('accepted');
  expect(kept.seen[0]?.store).not.toEqual(kept.start);
});

it.each<[string, () => Optimizer]>([
  ['sophiaG', () => sophiaG({ hessianInterval: 3, learningRate: 0.01 })],
  ['scheduleFreeSgd', () => scheduleFreeSgd({ learningRate: 0.1 })],
  ['scheduleFreeAdamw', scheduleFreeAdamw],
  ['prodigy', prodigy],
  ['lbfgs', lbfgs],
])('every second step of %s: the others are as if these had not been', async (_, make) => {
  const inner = make();
  const every = (kept: (step: number) => number): Optimizer => ({
    ...inner,
    build: (context) => ({
      ...stepResult(inner, context),
      accept: context.b.greater(context.scalar('isKept', kept), 0.5),
    }),
  });
  const [halved, whole] = [
    await watched(
      every((step) => step % 2),
      8,
    ),
    await watched(
      every(() => 1),
      4,
    ),
  ];
  let before = halved.start;
  const parametersOf = (store: Seen['store']) => [...store].filter(([name]) => name.startsWith('parameter.'));
  for (const [i, { record, store }] of halved.seen.entries()) {
    if (i % 2 === 0) expect(store).toEqual(before);
    else expect(parametersOf(store)).not.toEqual(parametersOf(before));
    expect(record.optimizer.accepted).toBe(i % 2 === 0 ? 0 : undefined);
    before = store;
  }
  // Each batch is the whole set, in another order.
  for (const [i, { record }] of whole.seen.entries()) {
    expect(halved.seen[2 * i + 1]?.record.loss).toBeCloseTo(record.loss, 4);
  }
  expect(whole.seen[3]?.record.loss).not.toBeCloseTo(whole.seen[0]?.record.loss ?? 0, 7);
});
