// A model computed on any number of examples, in batches that fit memory.
import type { Engine, Program } from '../engine/engine.js';
import { GraphError } from '../errors.js';
import { type Graph, neededNodes, type Value } from '../graph/graph.js';
import { inline } from '../graph/inline.js';
import { allocate, bytesPerElement, elementCount, type TensorData, tensor } from '../graph/tensor.js';
import { asInput } from '../model/apply.js';
import type { Model } from '../model/model.js';
import { Builder } from '../ops/builder.js';

/** The inputs of a prediction, which can be split into batches. */
export class SplitInputs {
  readonly #inputs: ReadonlyMap<string, TensorData>;
  /** The inputs with an axis of examples; each batch gets the others whole. */
  readonly #split = new Set<string>();
  readonly count: number;
  /** The number of examples that the model computes at once, if it takes no other. */
  readonly fixed: number | undefined;

  /** @param inputs by name, as the model declares them but for the number of examples */
  constructor(model: Model, inputs: ReadonlyMap<string, TensorData>) {
    const [first] = model.graph.inputs;
    const batch = first?.shape[0];
    this.#inputs = inputs;
    this.count = (first && this.#inputs.get(first.name)?.dims[0]) ?? 1;
    this.fixed = typeof batch === 'number' ? batch : undefined;
    for (const { name, shape } of model.graph.inputs) {
      const rows = this.#inputs.get(name)?.dims[0];
      if (rows === this.count) this.#split.add(name);
      else if (shape[0] === batch && batch !== undefined) {
        throw new GraphError(
          `the inputs of model '${model.name}' have different numbers of examples: '${first?.name}' has ${this.count}, and '${name}' has ${rows}`,
        );
      }
    }
    if (this.count === 0) throw new GraphError(`there are no examples in the inputs of model '${model.name}'`);
  }

  /** Return `rows` examples from `start` on; a fixed batch is padded with the last one. */
  slice(start: number, rows: number): Record<string, TensorData> {
    const size = this.fixed ?? rows;
    return Object.fromEntries(
      [...this.#inputs].map(([name, input]) => {
        if (!this.#split.has(name) || (start === 0 && size === this.count)) return [name, input];
        const { dtype, dims, data } = input;
        const each = elementCount(dims.slice(1));
        const taken = data.subarray(start * each, (start + rows) * each);
        if (size === rows) return [name, tensor(dtype, [size, ...dims.slice(1)], taken)];
        const filled = allocate(dtype, size * each);
        for (let row = 0; row < size; row++) {
          const from = start + Math.min(row, rows - 1);
          copy(data.subarray(from * each, (from + 1) * each), filled, row * each);
        }
        return [name, tensor(dtype, [size, ...dims.slice(1)], filled)];
      }),
    );
  }

  /** Return an output of all examples from the outputs of the batches. */
  joined(model: string, name: string, parts: readonly TensorData[], size: number): TensorData {
    const [first] = parts;
    if (!first) throw new GraphError(`model '${model}' did not compute its output '${name}'`);
    if (parts.length === 1 && (this.fixed === undefined || this.fixed === this.count)) return first;
    const { dtype, dims } = first;
    const each = dims.slice(1);
    for (const [i, part] of parts.entries()) {
      const rows = this.fixed ?? Math.min(size, this.count - i * size);
      if (part.dims[0] === rows && part.dims.slice(1).join() === each.join()) continue;
      throw new GraphError(
        `the output '${name}' of model '${model}' is [${part.dims.join(', ')}] for ${rows} examples: it cannot be put together from parts; give as many examples as are computed at once (batchSize: ${this.fixed ?? this.count})`,
      );
    }
    const data = allocate(dtype, this.count * elementCount(each));
    let offset = 0;
    for (const part of parts) {
      const rest = part.data.subarray(0, data.length - offset);
      copy(rest, data, offset);
      offset += rest.length;
    }
    return tensor(dtype, [this.count, ...each], data);
  }
}

/** The model with a symbolic batch size instead of a fixed one. */
export function withAnyBatch(model: Model): Model {
  const b = new Builder();
  const [first] = model.graph.inputs;
  const batch = first?.shape[0];
  if (typeof batch !== 'number') return model;
  const inputs = model.graph.inputs.map(({ name, dtype, shape }) =>
    b.input(name, dtype, shape[0] === batch ? ['examples', ...shape.slice(1)] : shape),
  );
  return { ...model, graph: { ...model.graph, inputs } };
}

/** The elements of one array in another of the same kind. */
function copy(from: TensorData['data'], to: TensorData['data'], offset: number): void {
  if (from instanceof BigInt64Array || from instanceof BigUint64Array) {
    (to as BigInt64Array).set(from as BigInt64Array, offset);
  } else (to as Float32Array).set(from as Float32Array, offset);
}

/** What a program makes of a model's outputs. */
export type Finish = (b: Builder, outputs: ReadonlyMap<string, Value>) => Readonly<Record<string, Value>>;

/** Computes a model on batches, as in use: without dropout, normalized by running averages. */
export class Forward {
  readonly #engine: Engine;
  readonly #model: Model;
  readonly #names: readonly string[];
  readonly #finish: Finish | undefined;
  /** One program for each size of the batch and of other symbolic axes. */
  readonly #programs = new Map<string, Program>();

  /**
   * @param engine whose closing frees the programs
   * @param names of the outputs to compute
   */
  constructor(engine: Engine, model: Model, names: readonly string[], finish?: Finish) {
    this.#engine = engine;
    this.#model = model;
    this.#names = names;
    this.#finish = finish;
  }

  /** Return the outputs, or what `finish` makes of them, for inputs by name. */
  async run(feeds: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>> {
    const key = Object.values(feeds)
      .map(({ dtype, dims }) => `${dtype} ${dims.join()}`)
      .join('|');
    const known = this.#programs.get(key);
    const program = known ?? (await this.#engine.compile(graphOf(this.#model, feeds, this.#names, this.#finish)));
    this.#programs.set(key, program);
    return await program.run(feeds);
  }
}

function graphOf(
  model: Model,
  feeds: Readonly<Record<string, TensorData>>,
  names: readonly string[],
  finish?: Finish,
): Graph {
  const b = new Builder();
  const bindings = new Map<Value, Value>();
  for (const declared of model.graph.inputs) {
    const data = feeds[declared.name];
    if (data) bindings.set(declared, asInput(b, declared, b.input(declared.name, data.dtype, data.dims)));
  }
  const outputs = model.graph.outputs.filter(({ name }) => names.includes(name));
  const nodes = neededNodes(
    model.graph.nodes,
    outputs.map(({ value }) => value),
  );
  const found = inline(b, { ...model.graph, outputs, nodes }, bindings).outputs;
  return b.build(`prediction of ${model.name}`, finish?.(b, found) ?? Object.fromEntries(found));
}

/** Bytes of intermediate values. */
const room = 2 ** 28;
const mostExamples = 1024;

/** The number of examples whose intermediate values fit in memory. */
export function usualBatch(model: Model, batch: SplitInputs, names: readonly string[]): number {
  const { nodes } = graphOf(model, batch.slice(0, 1), names);
  const bytes = nodes
    .flatMap(({ outputs }) => outputs)
    .reduce((sum, { knownType }) => {
      const sizes = knownType?.shape.map((size) => (typeof size === 'number' ? size : 1)) ?? [];
      return sum + elementCount(sizes) * (knownType ? bytesPerElement(knownType.dtype) : 0);
    }, 0);
  return Math.max(1, Math.min(mostExamples, Math.floor(room / Math.max(bytes, 1))));
}
