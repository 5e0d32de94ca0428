// Learning problems drawn from an index: tables as people bring them (mixed scales, noise, few rows), and every third one
// odd (constant columns, one class, dead layers, outliers, …). What trains one of them well was tuned for none.
import { type DataSplits, type Dataset, dataset } from '../../src/data/dataset.js';
import type { Model } from '../../src/model/model.js';
import { mlp } from '../../src/nn/zoo.js';
import { type Random, random } from '../../src/random.js';
import { constantBias, plainNetwork } from './plain-network.js';
import { type Columns, type Source, tableSource } from './table-source.js';

export interface DrawnProblem {
  readonly name: string;
  readonly model: Model;
  readonly data: DataSplits;
  readonly batchSize: number;
  readonly kind: 'classification' | 'regression';
  /** What is peculiar about it. */
  readonly traits: readonly string[];
  /** Standard deviation of the noise in regression targets, in their units. */
  readonly noise?: number;
  /** False where the optimizer is to meet the columns' own scales; absent for the library's default. */
  readonly normalize?: false;
}

/** Choices before anything is drawn from them: what a kind of problem changes. */
interface Plan {
  readonly kind: 'classification' | 'regression';
  readonly rows: number;
  readonly columns: Columns;
  readonly classes: number;
  readonly targets: number;
  /** Deviation of the noise in units of the signal's. */
  readonly noise: number;
  readonly targetScale: number;
  readonly targetOffset: number;
  readonly batchSize: number;
  readonly hidden: readonly number[];
  /** Another model than `mlp`. */
  readonly network?: (sizes: readonly number[], seed: number) => Model;
  /** Changes finished sets: labels replaced, rows made outliers. */
  readonly spoil?: (rows: Rows, source: Random) => void;
  readonly noSignal?: boolean;
  /** Class 1 is one of two hundred. */
  readonly rareClass?: boolean;
  readonly traits: readonly string[];
}

interface Rows {
  readonly count: number;
  readonly width: number;
  readonly inputs: Float32Array;
  readonly labels: Int32Array;
  readonly targets: Float32Array;
  readonly targetWidth: number;
}

type OddPlan = (plan: Plan, source: Random) => Partial<Plan> & { readonly traits: readonly string[] };

const classification = { kind: 'classification' } as const;
const regression = { kind: 'regression' } as const;
const unit: Partial<Columns> = { scales: 'unit', offsets: 'none' };
const withColumns = (plan: Plan, columns: Partial<Columns>): Pick<Plan, 'columns'> => ({
  columns: { ...plan.columns, ...columns },
});
const atLeastRows = (plan: Plan, rows: number) => ({ rows: Math.max(plan.rows, rows) });

/** Every third problem takes the next of these. */
const oddities: readonly OddPlan[] = [
  (plan) => ({ ...withColumns(plan, { constant: 0.4, duplicate: 0.3 }), traits: ['constant and duplicate columns'] }),
  () => ({ ...classification, spoil: ({ labels }) => void labels.fill(0), traits: ['one class'] }),
  (plan) => ({ ...withColumns(plan, { constant: 1, offsets: 'large' }), traits: ['all columns constant'] }),
  (plan) => ({ ...classification, ...withColumns(plan, unit), noise: 0, classes: 2, traits: ['separable'] }),
  () => ({ noSignal: true, noise: 1, traits: ['pure noise'] }),
  (plan) => ({
    ...withColumns(plan, unit),
    network: (sizes, seed) => plainNetwork({ sizes, seed, bias: constantBias(0, -1000) }),
    hidden: [16, 16],
    traits: ['dead ReLU layer'],
  }),
  (plan) => ({
    ...withColumns(plan, unit),
    network: (sizes, seed) => plainNetwork({ sizes, seed, activation: 'tanh', weightScale: () => 50 }),
    hidden: [32, 32],
    traits: ['saturated tanh'],
  }),
  (plan) => ({
    ...withColumns(plan, { constant: 0.5 }),
    ...atLeastRows(plan, 100),
    batchSize: 32,
    network: (sizes, seed) => plainNetwork({ sizes, seed, batchNorm: 'input' }),
    hidden: [32],
    traits: ['batch norm on constants'],
  }),
  (_, source) => ({ hidden: Array(pick(source, [6, 8])).fill(pick(source, [3, 5])), traits: ['deep and narrow'] }),
  () => ({ hidden: [], traits: ['linear model'] }),
  (plan) => ({ hidden: [256, 256], ...withColumns(plan, { count: 20 }), rows: 500, traits: ['wide layers'] }),
  (plan) => ({
    ...atLeastRows(plan, 200),
    spoil: ({ count, width, inputs }, source) => {
      for (let row = 0; row < count; row++) {
        if (source.uniform() >= 0.01) continue;
        for (let j = row * width; j < (row + 1) * width; j++) inputs[j] = (inputs[j] ?? 0) * 1000;
      }
    },
    traits: ['outliers'],
  }),
  (plan) => ({ ...withColumns(plan, { distribution: 'heavy' }), traits: ['heavy tails'] }),
  (plan) => ({ ...withColumns(plan, { ...unit, distribution: 'one-hot', count: 20 }), traits: ['one-hot columns'] }),
  (plan) => ({
    ...classification,
    ...atLeastRows(plan, 200),
    classes: 2,
    rareClass: true,
    traits: ['rare class'],
  }),
  (plan, source) => {
    const everywhere = pick(source, [0, 10, 1000]);
    return {
      ...withColumns(plan, unit),
      spoil: ({ inputs }) => void inputs.fill(everywhere),
      traits: ['all inputs one number'],
    };
  },
  (plan) => ({ ...withColumns(plan, { distribution: 'pixels', count: 50 }), traits: ['pixels 0..255'] }),
  (plan) => ({ ...withColumns(plan, { offsets: 'timestamps' }), traits: ['timestamps'] }),
  () => ({ batchSize: 1, traits: ['batch 1'] }),
  (plan) => ({ ...withColumns(plan, { scales: 'extreme' }), traits: ['column scales 1e-6 to 1e6'] }),
  (_, source) => ({
    ...regression,
    targetScale: pick(source, [1e-6, 1e-3, 84_000, 1e6]),
    targetOffset: pick(source, [0, 1, 2.4, -100]),
    traits: ['target scale'],
  }),
  (plan) => ({ rows: 20, ...withColumns(plan, { count: 50 }), traits: ['fewer rows than columns'] }),
  (plan) => ({
    ...withColumns(plan, unit),
    network: (sizes, seed) => plainNetwork({ sizes, seed, batchNorm: 'hidden' }),
    ...atLeastRows(plan, 100),
    batchSize: 32,
    hidden: [32, 32],
    traits: ['batch norm'],
  }),
  (plan) => ({
    ...classification,
    ...withColumns(plan, unit),
    network: (sizes, seed) => plainNetwork({ sizes, seed, weightScale: (_, isLast) => (isLast ? 50 : 1) }),
    hidden: [32],
    traits: ['saturated softmax'],
  }),
  () => ({ ...regression, targetScale: 0, targetOffset: 3, traits: ['constant target'] }),
  (plan) => ({
    ...withColumns(plan, unit),
    network: (sizes, seed) => plainNetwork({ sizes, seed, weightScale: () => 0 }),
    hidden: [16],
    traits: ['zero weights'],
  }),
];

/**
 * The problem of an index from 0, always the same. Any run of consecutive indices holds about one odd problem to two
 * ordinary ones, and one in five that is trained without a normalization.
 */
export function drawnProblem(index: number): DrawnProblem {
  const source = random(2026, 'drawn problem', index);
  const plan = planOf(index, source);
  const drawn = tableSource(plan.columns, plan.kind === 'classification' ? plan.classes : plan.targets, source);
  const heldOut = pick(source, [200, 500, 1000]);
  const scale = plan.targetScale;
  const set = (name: string, count: number): Dataset => {
    const rows = rowsOf(plan, drawn, count, random(2026, 'rows', index, name));
    const common = { name, size: count, inputs: { dtype: 'float32', shape: [rows.width], data: rows.inputs } } as const;
    if (plan.kind === 'regression') {
      return dataset({ ...common, targets: { dtype: 'float32', shape: [rows.targetWidth], data: rows.targets } });
    }
    const classes = Array.from({ length: plan.classes }, (_, k) => `class ${k}`);
    return dataset({ ...common, classes, targets: { dtype: 'int64', shape: [], data: rows.labels } });
  };
  const data = { train: set('drawn', plan.rows), test: set('held out', heldOut) };
  const outputs = plan.kind === 'classification' ? plan.classes : plan.targets;
  const sizes = [drawn.width, ...plan.hidden, outputs];
  const seed = index + 1;
  const batchSize = Math.min(plan.batchSize, plan.rows);
  const what = plan.kind === 'classification' ? `${outputs} classes` : `${outputs} target${outputs === 1 ? '' : 's'}`;
  return {
    name: `${index} ${what}, ${plan.rows}×${drawn.width}, ${sizes.join('-')}, batch ${batchSize}`,
    model: plan.network?.(sizes, seed) ?? mlp({ sizes, seed }),
    data,
    batchSize,
    kind: plan.kind,
    traits: plan.traits,
    ...(plan.kind === 'regression' && { noise: plan.noise * scale }),
    ...(index % 5 === 4 && { normalize: false }),
  };
}

function planOf(index: number, source: Random): Plan {
  const kind = source.uniform() < 0.5 ? 'classification' : 'regression';
  const rows = pick(source, [20, 30, 50, 64, 100, 100, 150, 200, 200, 300, 500, 500, 1000, 2000]);
  const ordinary: Plan = {
    kind,
    rows,
    columns: {
      count: pick(source, [1, 2, 3, 4, 6, 8, 10, 13, 20, 30, 50]),
      scales: pick(source, ['unit', 'mixed', 'mixed', 'wide']),
      offsets: pick(source, ['none', 'some', 'some', 'large']),
      distribution: pick(source, ['mixed', 'mixed', 'normal', 'correlated']),
      constant: 0,
      duplicate: 0,
    },
    classes: pick(source, [2, 2, 2, 3, 4, 5, 10]),
    targets: pick(source, [1, 1, 1, 2, 3]),
    noise: pick(source, [0, 0.05, 0.1, 0.3, 0.3, 1]),
    targetScale: 10 ** pick(source, [-6, -4, -2, -1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6]),
    targetOffset: pick(source, [0, 0, 1, 2.4, -3]),
    batchSize: pick(source, [4, 16, 32, 32, 64, 128, 128, Number.POSITIVE_INFINITY]),
    hidden: pick(source, [[], [16], [32], [64], [32, 32], [64, 64], [64, 32]]),
    traits: ['ordinary'],
  };
  if (index % 3 !== 2) return ordinary;
  const oddity = oddities[Math.floor(index / 3) % oddities.length];
  return { ...ordinary, ...oddity?.(ordinary, source) };
}

function rowsOf(plan: Plan, drawn: Source, count: number, source: Random): Rows {
  const { width, outputs } = drawn;
  const rows: Rows = {
    count,
    width,
    inputs: new Float32Array(count * width),
    labels: new Int32Array(count),
    targets: new Float32Array(count * outputs),
    targetWidth: outputs,
  };
  for (let row = 0; row < count; row++) {
    const { inputs, signal } = drawn.example(source);
    rows.inputs.set(inputs, row * width);
    const noisy = signal.map((value) => (plan.noSignal ? 0 : value) + plan.noise * source.normal());
    rows.labels[row] = plan.rareClass ? Number(row === 0 || (signal[0] ?? 0) > 2.6) : noisy.indexOf(Math.max(...noisy));
    rows.targets.set(
      noisy.map((value) => plan.targetScale * value + plan.targetOffset * (plan.targetScale || 1)),
      row * outputs,
    );
  }
  plan.spoil?.(rows, source);
  return rows;
}

function pick<Item>(source: Random, items: readonly Item[]): Item {
  return items[source.integer(items.length)] as Item; // within
}
