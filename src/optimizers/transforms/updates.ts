// The updates that pass through a chain, one for each parameter, with pending scalar factors and pending weight decay.
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import type { ScalarSource, StepContext } from '../optimizer.js';

/** A step of a chain: it makes new updates of those that come to it, at first the gradients. */
export type Transform = (context: StepContext, updates: Updates) => Updates;

/** A number that is known before a step: it multiplies or divides updates without a pass over them. */
export interface StepNumber {
  /** Unique in the chain. */
  readonly name: string;
  readonly at: ScalarSource;
}

/** The result of `map` for an update: a tensor, or a quotient, whose numerator is multiplied by the pending scalars. */
export type Mapped = Value | { readonly numerator: Value; readonly denominator: Value };

/** A new parameter that is given as such, not as an update, and the value that is evaluated and kept instead of it. */
export interface Placed {
  readonly parameter: Value;
  readonly evaluated: Value;
}

/** A product of numbers of the step over another. */
interface Factor {
  readonly times: readonly StepNumber[];
  readonly over: readonly StepNumber[];
}

/** The update `factor · numerator / denominator + decay.factor · decay.weight · parameter`. */
interface Update {
  readonly parameter: Value;
  readonly numerator: Value;
  readonly denominator: Value | undefined;
  readonly factor: Factor;
  readonly decay: { readonly weight: Value | number; readonly factor: Factor } | undefined;
  /** What replaces parameter and update; it ends a chain. */
  readonly placed?: Placed;
}

const one: Factor = { times: [], over: [] };

/** The updates of all parameters, by name; immutable. */
export class Updates {
  readonly #context: StepContext;
  readonly #updates: ReadonlyMap<string, Update>;
  readonly #numbers: Numbers;

  private constructor(context: StepContext, updates: ReadonlyMap<string, Update>, numbers: Numbers) {
    this.#context = context;
    this.#updates = updates;
    this.#numbers = numbers;
  }

  /** Return the gradients of all parameters that have one. */
  static ofGradients(context: StepContext): Updates {
    const updates = new Map<string, Update>();
    for (const [name, parameter] of context.parameters) {
      const numerator = context.gradients.get(name);
      if (numerator) updates.set(name, { parameter, numerator, denominator: undefined, factor: one, decay: undefined });
    }
    return new Updates(context, updates, new Numbers(context));
  }

  /** Return the updates as tensors, in the shapes of the parameters. */
  values(): ReadonlyMap<string, Value> {
    return new Map([...this.#updates].map(([name, update]) => [name, this.#value(update)]));
  }

  /**
   * Return new updates, each made from the old one.
   * @param next makes the new update from the old one, which has the shape of the parameter
   */
  map(next: (update: Value, name: string, parameter: Value) => Mapped): Updates {
    return this.#each((update, name) => {
      const made = next(this.#value(update), name, update.parameter);
      const { numerator, denominator } = 'numerator' in made ? made : { numerator: made, denominator: undefined };
      return { ...update, numerator, denominator, factor: one, decay: undefined };
    });
  }

  /**
   * Return the updates with new parameters in place of parameters minus updates, and with other values to be evaluated and
   * kept. No transform can follow.
   * @param next makes them from the update, which has the shape of the parameter
   */
  placed(next: (update: Value, name: string, parameter: Value) => Placed): Updates {
    return this.#each((update, name) => ({ ...update, placed: next(this.#value(update), name, update.parameter) }));
  }

  /** Return the updates times a number of the step, or times one of each parameter's own. */
  times(number: StepNumber | ((name: string) => StepNumber)): Updates {
    return this.#scaled(({ times, over }, name) => ({ times: [...times, numberFor(number, name)], over }));
  }

  /** Return the updates over a number of the step, or over one of each parameter's own. */
  over(number: StepNumber | ((name: string) => StepNumber)): Updates {
    return this.#scaled(({ times, over }, name) => ({ times, over: [...over, numberFor(number, name)] }));
  }

  /**
   * Return the updates plus `weight` times the parameters.
   * @param takes whether a parameter decays
   */
  decayed(weight: Value | number, takes: (name: string) => boolean): Updates {
    return this.#each((update, name) => {
      if (!takes(name)) return update;
      const plain = update.decay
        ? { ...update, numerator: this.#value(update), denominator: undefined, factor: one }
        : update;
      return { ...plain, decay: { weight, factor: one } };
    });
  }

  /** Return the scalar of a number of the step, declared at its first use. */
  scalar(number: StepNumber): Value {
    return this.#numbers.value({ times: [number], over: [] });
  }

  /** Return the parameters minus their updates; a decay `(1 − w)·θ` is one product. */
  applied(): ReadonlyMap<string, Value> {
    const { b } = this.#context;
    return new Map(
      [...this.#updates].map(([name, update]) => {
        const { parameter, decay, placed } = update;
        if (placed) return [name, placed.parameter];
        const rate = decay ? this.#decayRate(decay) : 0;
        const kept = b.mul(parameter, typeof rate === 'number' ? 1 - rate : b.sub(1, rate));
        return [name, b.sub(kept, this.#direction(update))];
      }),
    );
  }

  /** Return the values that are evaluated and kept instead of the new parameters; none if these are. */
  evaluated(): ReadonlyMap<string, Value> {
    return new Map([...this.#updates].flatMap(([name, { placed }]) => (placed ? [[name, placed.evaluated]] : [])));
  }

  #value(update: Update): Value {
    checkOpen(update);
    const { b } = this.#context;
    const direction = this.#direction(update);
    return update.decay ? b.add(direction, b.mul(update.parameter, this.#decayRate(update.decay))) : direction;
  }

  #direction({ numerator, denominator, factor }: Update): Value {
    const { b } = this.#context;
    const scaled = isOne(factor) ? numerator : b.mul(numerator, this.#numbers.value(factor));
    return denominator ? b.div(scaled, denominator) : scaled;
  }

  #decayRate({ weight, factor }: NonNullable<Update['decay']>): Value | number {
    return isOne(factor) ? weight : this.#context.b.mul(this.#numbers.value(factor), weight);
  }

  #scaled(next: (factor: Factor, name: string) => Factor): Updates {
    return this.#each((update, name) => {
      const { decay, factor } = update;
      return { ...update, factor: next(factor, name), decay: decay && { ...decay, factor: next(decay.factor, name) } };
    });
  }

  #each(next: (update: Update, name: string) => Update): Updates {
    const updates = new Map([...this.#updates].map(([name, update]) => [name, next(checkOpen(update), name)]));
    return new Updates(this.#context, updates, this.#numbers);
  }
}

/** @throws OptionError if the new parameter is there already */
function checkOpen(update: Update): Update {
  if (!update.placed) return update;
  throw new OptionError(
    'a transform follows one that ends a chain, since it makes the new parameters: put the averaging of iterates last',
  );
}

const numberFor = (number: StepNumber | ((name: string) => StepNumber), name: string): StepNumber =>
  typeof number === 'function' ? number(name) : number;

const isOne = ({ times, over }: Factor): boolean => times.length + over.length === 0;

/** The scalars of a chain, each declared once; a product of numbers is one scalar, multiplied before the step. */
class Numbers {
  readonly #context: StepContext;
  readonly #known = new Map<string, StepNumber>();
  readonly #scalars = new Map<string, Value>();

  constructor(context: StepContext) {
    this.#context = context;
  }

  value({ times, over }: Factor): Value {
    for (const number of [...times, ...over]) {
      if ((this.#known.get(number.name) ?? number) !== number) {
        throw new OptionError(`two numbers of a chain are called '${number.name}': give each its own name`);
      }
      this.#known.set(number.name, number);
    }
    const name = [times.map((number) => number.name).join('·') || '1', ...over.map((number) => number.name)].join('/');
    const known = this.#scalars.get(name);
    if (known) return known;
    const product = (numbers: readonly StepNumber[], step: number, kept: number): number =>
      numbers.map(({ at }) => (typeof at === 'number' ? at : at(step, kept))).reduce((x, y) => x * y, 1);
    const value = this.#context.scalar(name, (step, kept) => product(times, step, kept) / product(over, step, kept));
    this.#scalars.set(name, value);
    return value;
  }
}
