// A computation on a model, for the functions of this folder: the model in a graph with given parameters and inputs, and a
// program that runs once.
import type { Engine } from '../engine/engine.js';
import { OptionError } from '../errors.js';
import { neededNodes, type Value } from '../graph/graph.js';
import { inline } from '../graph/inline.js';
import { isFloatingPoint, type TensorData } from '../graph/tensor.js';
import type { TensorLike } from '../graph/tensor-like.js';
import type { Model } from '../model/model.js';
import { Builder } from '../ops/builder.js';
import { withEngine } from './default-engine.js';
import { fittedInputs, type ModelInputs } from './given.js';

/** The inputs and parameters at which a model is evaluated. */
export interface Point {
  /** The model's input, or its inputs by name; the first axis is the batch. Token numbers may be of any integer type. */
  readonly inputs: ModelInputs;
  /** Parameters and running averages to use instead of the model's own, by name, as `train` returns them. */
  readonly at?: ReadonlyMap<string, TensorLike>;
  /** The engine that computes; by default a new one, which is closed afterwards: see `train`. */
  readonly engine?: Engine;
}

export class Computation {
  readonly b = new Builder();
  readonly model: Model;
  readonly #feeds: Record<string, TensorData> = {};
  readonly #inputs = new Map<string, Value>();
  /** Parameters and inputs of real numbers, in the model's order: what can be differentiated by. */
  readonly #variables = new Map<string, Value>();

  constructor(model: Model, { inputs, at }: Pick<Point, 'inputs' | 'at'>) {
    this.model = at ? model.with(at) : model;
    for (const [name, data] of fittedInputs(model, inputs)) this.#inputs.set(name, this.feed(name, data));
    for (const [name, { constant }] of this.model.parameters) {
      if (constant) this.#variables.set(name, this.feed(`cgfac/parameter/${name}`, constant));
    }
  }

  /** Declare an input of the program with its tensor. */
  feed(name: string, data: TensorData): Value {
    this.#feeds[name] = data;
    return this.b.input(name, data.dtype, data.dims);
  }

  /**
   * Return the parameter or input of a name.
   * @throws OptionError that lists the known names
   */
  variable(name: string): Value {
    const value = this.#variables.get(name) ?? this.#inputs.get(name);
    if (value && isFloatingPoint(value.dtype)) return value;
    const { parameters, name: model } = this.model;
    const inputs = [...this.#inputs].flatMap(([input, { dtype }]) => (isFloatingPoint(dtype) ? [input] : []));
    throw new OptionError(
      value
        ? `the input '${name}' of model '${model}' is of ${value.dtype}: there is no derivative by it`
        : `model '${model}' has no parameter '${name}'; it has ${[...parameters.keys()].join(', ') || 'none'}, and the inputs ${inputs.join(', ') || 'none'} of real numbers`,
    );
  }

  /** Return outputs of the model by name; operators that they do not need can be unknown. */
  outputs(names: readonly string[]): Map<string, Value> {
    const { graph, parameters } = this.model;
    const outputs = names.map((name) => {
      const found = graph.outputs.find((output) => output.name === name);
      if (found) return found;
      throw new OptionError(
        `model '${this.model.name}' has no output '${name}'; its outputs are ${graph.outputs.map((output) => output.name).join(', ')}`,
      );
    });
    const bindings = new Map<Value, Value>();
    for (const declared of graph.inputs) {
      const bound = this.#inputs.get(declared.name);
      if (bound) bindings.set(declared, bound);
    }
    for (const [name, value] of parameters) {
      const bound = this.#variables.get(name);
      if (bound) bindings.set(value, bound);
    }
    const nodes = neededNodes(
      graph.nodes,
      outputs.map(({ value }) => value),
    );
    return new Map(inline(this.b, { ...graph, outputs, nodes }, bindings).outputs);
  }

  /** Compute the outputs of a program. */
  async run<Name extends string>(
    what: string,
    outputs: Readonly<Record<Name, Value>>,
    engine: Engine | undefined,
  ): Promise<Record<Name, TensorData>> {
    const graph = this.b.build(what, outputs);
    return await withEngine(engine, async (own) => {
      const program = await own.compile(graph);
      return (await program.run(this.#feeds)) as Record<Name, TensorData>; // no output goes to the store
    });
  }
}
