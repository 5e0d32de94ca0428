// Checks gradient rules against central differences, of first and of second order, many cases in one program:
// each run moves one coordinate of every case, so a thousand differences cost a few hundred runs.
import type fc from 'fast-check';
import { gradients } from '../../src/autodiff/gradients.js';
import { type Dimension, formatType, type Value } from '../../src/graph/graph.js';
import { elementCount, isFloatingPoint, type TensorData, tensorFrom, toNumbers } from '../../src/graph/tensor.js';
import { Builder } from '../../src/ops/builder.js';
import { type Random, random } from '../../src/random.js';
import { elements, type InputSpec, sizeOfSymbol, symbolOf } from './checked-inputs.js';
import { type Runner, runner } from './runner.js';

export type { CheckedSize, InputSpec } from './checked-inputs.js';

export interface GradientCase {
  readonly name: string;
  readonly inputs: readonly InputSpec[];
  /** The function to check; it may compose several operators. */
  readonly build: (b: Builder, x: readonly Value[]) => Value | readonly Value[];
  /** float64 by default; float32 for operators that the runtime has no float64 kernel for. */
  readonly dtype?: 'float64' | 'float32';
  /** 1: do not differentiate the gradient again. */
  readonly order?: 1 | 2;
}

/**
 * What is checked of each operator: cases, or a generator from which cases are drawn, or `'discrete'` where every
 * output is made of integers or booleans, so that there is nothing to differentiate.
 */
export type CaseTable = Readonly<Record<string, readonly GradientCase[] | fc.Arbitrary<GradientCase> | 'discrete'>>;

/** A scalar function of a case with its gradients by the differentiated inputs. */
interface Checked {
  readonly order: 1 | 2;
  readonly objective: Value;
  readonly derivatives: readonly Value[];
}

interface Prepared {
  readonly name: string;
  readonly dtype: 'float64' | 'float32';
  /** The differentiated inputs by name. */
  readonly inputs: ReadonlyMap<string, TensorData>;
  readonly fixed: ReadonlyMap<string, TensorData>;
  readonly outputs: readonly Value[];
  readonly checked: readonly Checked[];
  readonly sizes: ReadonlyMap<string, number>;
}

/** Cases in one program: more save runs, but the runtime's time to load a graph grows faster than the graph. */
const together = 50;

/** Steps are large, as the five-point formula's error falls with the fourth power of the step. */
const steps = { float64: 1e-3, float32: 2e-2 } as const;
const tolerances = { float64: 1e-6, float32: 2e-4 } as const;
/** f′ ≈ Σ weight · f(x + offset·h) / h */
const stencil = [
  { offset: -2, weight: 1 / 12 },
  { offset: -1, weight: -8 / 12 },
  { offset: 1, weight: 8 / 12 },
  { offset: 2, weight: -1 / 12 },
] as const;

/** Descriptions of everything that is wrong; empty where all gradients are right. */
export async function checkGradients(cases: readonly GradientCase[], seed = 1): Promise<string[]> {
  const failures: string[] = [];
  const sound: GradientCase[] = [];
  for (const [i, one] of cases.entries()) {
    try {
      prepare(new Builder(), one, i, random(seed, i));
      sound.push(one);
    } catch (error) {
      failures.push(`${describe(one)}: ${message(error)}`);
    }
  }
  for (let at = 0; at < sound.length; at += together) {
    failures.push(...(await checkTogether(sound.slice(at, at + together), seed)));
  }
  return failures;
}

async function checkTogether(cases: readonly GradientCase[], seed: number): Promise<string[]> {
  if (cases.length === 0) return [];
  const b = new Builder();
  const prepared = cases.map((one, i) => prepare(b, one, i, random(seed, i, one.name)));
  let programs: Programs;
  try {
    programs = await compile(b, prepared);
  } catch (error) {
    const [only] = cases;
    if (cases.length === 1 && only) return [`${describe(only)}: ${message(error)}`];
    const separate: string[] = []; // find out which case the runtime refuses
    for (const one of cases) separate.push(...(await checkTogether([one], seed)));
    return separate;
  }
  try {
    const differences = await centralDifferences(programs.objectives, prepared);
    const exact = await programs.derivatives.run(feedsOf(prepared));
    return prepared.flatMap((one, c) => compare(one, cases[c] as GradientCase, c, exact, differences));
  } finally {
    await programs.objectives.release();
    await programs.derivatives.release();
  }
}

interface Programs {
  readonly objectives: Runner;
  readonly derivatives: Runner;
}

async function compile(b: Builder, prepared: readonly Prepared[]): Promise<Programs> {
  const objectives: Record<string, Value> = {};
  const derivatives: Record<string, Value> = {};
  for (const [c, { checked, outputs }] of prepared.entries()) {
    for (const [i, output] of outputs.entries()) derivatives[`c${c}y${i}`] = output;
    for (const { order, objective, derivatives: each } of checked) {
      objectives[`c${c}o${order}`] = objective;
      for (const [i, derivative] of each.entries()) derivatives[`c${c}o${order}d${i}`] = derivative;
    }
  }
  // Feeds of both programs are the same, whether or not one of them reads an input.
  return {
    derivatives: await runner(b.build('derivatives', derivatives)),
    objectives: await runner(b.build('objectives', objectives)),
  };
}

function prepare(b: Builder, one: GradientCase, c: number, numbers: Random): Prepared {
  const dtype = one.dtype ?? 'float64';
  const sizes = new Map<string, number>();
  const inputs = new Map<string, TensorData>();
  const fixed = new Map<string, TensorData>();
  const values: Value[] = [];
  for (const [i, spec] of one.inputs.entries()) {
    const type = spec.dtype ?? dtype;
    const shape = spec.shape.map((size): Dimension => symbolOf(size, c, sizes));
    const dims = shape.map((size) => (typeof size === 'number' ? size : (sizes.get(size) ?? 0)));
    values.push(b.input(`c${c}x${i}`, type, shape));
    (isFloatingPoint(type) ? inputs : fixed).set(`c${c}x${i}`, tensorFrom(type, dims, elements(spec, dims, numbers)));
  }
  const targets = values.filter((value) => isFloatingPoint(value.dtype));
  const weigh = (value: Value, name: string): Value => {
    const dims = value.shape.map((size) => (typeof size === 'number' ? size : sizeOfSymbol(size, sizes)));
    const weights = Array.from({ length: elementCount(dims) }, () => 0.5 + numbers.uniform());
    return b.constant(tensorFrom(value.dtype, dims, weights), name);
  };
  const made = one.build(b, values);
  const outputs = Array.isArray(made) ? (made as readonly Value[]) : [made as Value];
  // Σ y·(u + y/2): the cotangent u + y depends on the inputs, so that the second order sees its derivative as well.
  // Sums are taken in float64 for every type: rounding would drown the differences.
  const parts = outputs
    .map((output) => b.cast(output, 'float64'))
    .map((y, i) => b.sum(b.mul(y, b.add(weigh(y, `c${c}u${i}`), b.mul(y, 0.5)))));
  const objective = parts.reduce((total, part) => b.add(total, part));
  const derivatives = gradients(b, objective, targets);
  const checked: Checked[] = [{ order: 1, objective, derivatives }];
  if (one.order !== 1) {
    const slopes = derivatives
      .map((slope) => b.cast(slope, 'float64'))
      .map((slope, i) => b.sum(b.mul(slope, weigh(slope, `c${c}w${i}`))));
    const slope = slopes.reduce((total, part) => b.add(total, part));
    checked.push({ order: 2, objective: slope, derivatives: gradients(b, slope, targets) });
  }
  return { name: one.name, dtype, inputs, fixed, outputs, checked, sizes };
}

const feedsOf = (prepared: readonly Prepared[]): Record<string, TensorData> =>
  Object.fromEntries(prepared.flatMap(({ inputs, fixed }) => [...inputs, ...fixed]));

/** For each case and order the derivatives by all coordinates, inputs one after another. */
async function centralDifferences(program: Runner, prepared: readonly Prepared[]): Promise<Map<string, number[]>> {
  const flat = prepared.map(({ inputs }) =>
    [...inputs].flatMap(([name, value]) => toNumbers(value).map((_, element) => ({ name, element }))),
  );
  const longest = Math.max(0, ...flat.map((coordinates) => coordinates.length));
  const feeds = feedsOf(prepared);
  const differences = new Map<string, number[]>();
  for (let k = 0; k < longest; k++) {
    for (const { offset, weight } of stencil) {
      const moved = { ...feeds };
      for (const [c, { dtype }] of prepared.entries()) {
        const at = flat[c]?.[k];
        if (at) moved[at.name] = move(feeds[at.name] as TensorData, at.element, offset * steps[dtype]);
      }
      const results = await program.run(moved);
      for (const [c, { dtype, checked }] of prepared.entries()) {
        if (!flat[c]?.[k]) continue;
        for (const { order } of checked) {
          const key = `c${c}o${order}`;
          const slopes = differences.get(key) ?? [];
          slopes[k] = (slopes[k] ?? 0) + (weight * Number(results[key]?.data[0])) / steps[dtype];
          differences.set(key, slopes);
        }
      }
    }
  }
  return differences;
}

function move(value: TensorData, element: number, by: number): TensorData {
  const numbers = toNumbers(value);
  numbers[element] = (numbers[element] ?? 0) + by;
  return tensorFrom(value.dtype, value.dims, numbers);
}

function compare(
  one: Prepared,
  source: GradientCase,
  c: number,
  exact: Readonly<Record<string, TensorData>>,
  differences: ReadonlyMap<string, readonly number[]>,
): string[] {
  const failures: string[] = [];
  const fail = (what: string) => failures.push(`${describe(source)}: ${what}`);
  for (const [i, output] of one.outputs.entries()) {
    const inferred = output.shape.map((size) => (typeof size === 'number' ? size : sizeOfSymbol(size, one.sizes)));
    const dims = exact[`c${c}y${i}`]?.dims ?? [];
    if (inferred.join() !== dims.join()) {
      fail(`output ${i} is [${dims.join(', ')}], but its inferred type is ${formatType(output.type)}`);
    }
  }
  for (const { order, derivatives } of one.checked) {
    const computed: { what: string; value: number }[] = [];
    const names = [...one.inputs];
    for (const i of derivatives.keys()) {
      const [name, input] = names[i] ?? ['', undefined];
      const derivative = exact[`c${c}o${order}d${i}`];
      if (!input || !derivative || derivative.dims.join() !== input.dims.join()) {
        fail(
          `the derivative of order ${order} by ${name} is [${derivative?.dims.join(', ')}], not [${input?.dims.join(', ')}]`,
        );
        return failures;
      }
      for (const [element, value] of toNumbers(derivative).entries()) {
        computed.push({ what: `input ${name.split('x')[1]} element ${element}`, value });
      }
    }
    const expected = differences.get(`c${c}o${order}`) ?? [];
    const scale = Math.max(1, ...computed.map(({ value }) => Math.abs(value)));
    for (const [k, { what, value }] of computed.entries()) {
      const difference = expected[k] ?? Number.NaN;
      // Written so that NaN fails.
      if (!(Math.abs(value - difference) <= tolerances[one.dtype] * scale)) {
        fail(`derivative of order ${order} by ${what} is ${value}, differences give ${difference}`);
        break;
      }
    }
  }
  return failures;
}

function describe(one: GradientCase): string {
  const shapes = one.inputs.map(({ shape, values }) => `[${shape.join(', ')}]${values ? `{${values.join()}}` : ''}`);
  return `${one.name} of ${shapes.join(', ')}`;
}

const message = (error: unknown): string =>
  error instanceof Error ? `${error.name}: ${error.message}` : String(error);
