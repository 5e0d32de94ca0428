// The average of the iterates: a small separate program that runs every few steps.
import type { Engine, Program } from '../engine/engine.js';
import { elementCount } from '../graph/tensor.js';
import type { Model } from '../model/model.js';
import { Builder } from '../ops/builder.js';
import type { Json, Remembered } from './run-state.js';
import { parameterKey } from './step-program.js';

/** Steps between updates: an average over every fourth iterate is as good, and costs fewer passes over all parameters. */
const interval = 4;

/** The key of a parameter's average in the engine's store. */
const averageKey = (name: string): string => `average.${name}`;

/**
 * Return the weight of the past for the iterate after `steps` steps, `since` of them after the last iterate in the average:
 * ∏ min(1 − (η + 1)/(k + η + 1), maximum) over the steps k between, with η = 8. It is the polynomial-decay average of Shamir
 * & Zhang 2013, section 4, which forgets the beginning of a run of any length.
 */
export function weightOfPast(steps: number, since: number, maximum: number): number {
  let weight = 1;
  for (let k = steps - since; k < steps; k++) weight *= Math.min(1 - 9 / (k + 9), maximum);
  return weight;
}

/**
 * ξ·average + (1 − ξ)·θ for each parameter (Polyak & Juditsky 1992; exponential as in Martens & Grosse 2015, section
 * 10): iterates that fit the noise of their batches scatter about the solution, and their average is close to it.
 */
export class IterateAverage implements Remembered {
  readonly name = 'average';
  readonly #program: Program;
  readonly #maximum: number;
  /** Keys in the engine's store, by parameter. */
  readonly keys: ReadonlyMap<string, string>;
  /** Memory of the averages, float32. */
  readonly bytes: number;
  #joined = 0;
  #before = 0;

  private constructor(program: Program, maximum: number, parameters: Model['parameters']) {
    this.#program = program;
    this.#maximum = maximum;
    this.keys = new Map([...parameters.keys()].map((name) => [name, averageKey(name)]));
    const elements = [...parameters.values()].map(({ dims }) => elementCount(dims));
    this.bytes = 4 * elements.reduce((sum, count) => sum + count, 0);
  }

  /** @param maximum largest weight of the past, in (0, 1) */
  static async of(engine: Engine, parameters: Model['parameters'], maximum: number): Promise<IterateAverage> {
    const b = new Builder();
    const keep = b.input('keep', 'float32', []);
    const outputs: Record<string, ReturnType<Builder['add']>> = {};
    for (const [name, { dtype, dims }] of parameters) {
      const [iterate, old] = [b.input(parameterKey(name), dtype, dims), b.input(averageKey(name), dtype, dims)];
      outputs[`next.${name}`] = b.add(iterate, b.mul(b.sub(old, iterate), keep));
    }
    const updates = new Map([...parameters.keys()].map((name) => [`next.${name}`, averageKey(name)]));
    return new IterateAverage(
      await engine.compile(b.build('average', outputs), { updates, undoable: true }),
      maximum,
      parameters,
    );
  }

  /** Add the iterate after a step to the average, if it is due or the step is the last. */
  async after(steps: number, isLast: boolean): Promise<void> {
    // The first steps change the parameters most: each of them counts.
    if (steps > 2 * interval && steps % interval !== 0 && !isLast) return;
    const keep = weightOfPast(steps, steps - this.#joined, this.#maximum);
    this.#before = this.#joined;
    this.#joined = steps;
    await this.#program.run({ keep: { dtype: 'float32', dims: [], data: Float32Array.of(keep) } });
  }

  /** Remove the iterate after `steps` steps from the average, if it is the last one in it. */
  async undo(steps: number): Promise<void> {
    if (this.#joined !== steps || steps === 0) return;
    await this.#program.undo();
    this.#joined = this.#before;
  }

  snapshot(): Json {
    return { joined: this.#joined, before: this.#before };
  }

  restore(snapshot: Json): void {
    const { joined, before } = snapshot as Readonly<Record<string, number>>;
    this.#joined = joined ?? 0;
    this.#before = before ?? 0;
  }
}
