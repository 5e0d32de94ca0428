// The average of the iterates, kept beside the parameters: a small program of its own, run every few steps only.
import type { Engine, Program } from '../engine/engine.js';
import { elementCount } from '../graph/tensor.js';
import type { Model } from '../model/model.js';
import { Builder } from '../ops/builder.js';
import { parameterKey } from './step-program.js';

/** Steps between updates: an average over every fourth iterate is as good, and a pass over all parameters costs. */
const interval = 4;

/** Where the engine's store holds the average of a parameter. */
const averageKey = (name: string): string => `average.${name}`;

/**
 * The weight of the past when an iterate joins after `steps` steps, `since` of them since the last one that joined:
 * ∏ min(1 − (η + 1)/(k + η + 1), maximum) over the steps k = 0, 1, … between, with η = 8: the polynomial-decay average
 * of Shamir & Zhang 2013, section 4. Whatever the length of the run, it forgets its beginning.
 */
export function weightOfPast(steps: number, since: number, maximum: number): number {
  let weight = 1;
  for (let k = steps - since; k < steps; k++) weight *= Math.min(1 - 9 / (k + 9), maximum);
  return weight;
}

/**
 * ξ·average + (1 − ξ)·θ for each parameter (Polyak & Juditsky 1992; exponential as in Martens & Grosse 2015, section
 * 10): steps that fit their batch's noise bounce around the solution, their average does not.
 */
export class IterateAverage {
  readonly #program: Program;
  readonly #maximum: number;
  /** Names in the engine's store, by parameter. */
  readonly keys: ReadonlyMap<string, string>;
  /** Memory of the averages, float32. */
  readonly bytes: number;
  #joined = 0;
  #before = 0;

  private constructor(program: Program, maximum: number, model: Model) {
    this.#program = program;
    this.#maximum = maximum;
    this.keys = new Map([...model.parameters.keys()].map((name) => [name, averageKey(name)]));
    const elements = [...model.parameters.values()].map(({ dims }) => elementCount(dims));
    this.bytes = 4 * elements.reduce((sum, count) => sum + count, 0);
  }

  /** @param maximum largest weight of the past, in (0, 1) */
  static async of(engine: Engine, model: Model, maximum: number): Promise<IterateAverage> {
    const b = new Builder();
    const keep = b.input('keep', 'float32', []);
    const outputs: Record<string, ReturnType<Builder['add']>> = {};
    for (const [name, { dtype, dims }] of model.parameters) {
      const [iterate, old] = [b.input(parameterKey(name), dtype, dims), b.input(averageKey(name), dtype, dims)];
      outputs[`next.${name}`] = b.add(iterate, b.mul(b.sub(old, iterate), keep));
    }
    const updates = new Map([...model.parameters.keys()].map((name) => [`next.${name}`, averageKey(name)]));
    return new IterateAverage(
      await engine.compile(b.build('average', outputs), { updates, undoable: true }),
      maximum,
      model,
    );
  }

  /** Called after each step: `steps` are done. At the last one the iterate joins in any case. */
  async after(steps: number, isLast: boolean): Promise<void> {
    // The first steps change much: each of them counts.
    if (steps > 2 * interval && steps % interval !== 0 && !isLast) return;
    const keep = weightOfPast(steps, steps - this.#joined, this.#maximum);
    this.#before = this.#joined;
    this.#joined = steps;
    await this.#program.run({ keep: { dtype: 'float32', dims: [], data: Float32Array.of(keep) } });
  }

  /** Takes back the joining of the iterate after `steps` steps, if it has joined. */
  async undo(steps: number): Promise<void> {
    if (this.#joined !== steps || steps === 0) return;
    await this.#program.undo();
    this.#joined = this.#before;
  }
}
