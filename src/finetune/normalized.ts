// A model that normalizes its own input: (x − mean) / deviation stands before its first layer, in training and in the
// file. Whoever runs the file feeds it values as the data have them; there is no preprocessing to remember.
import { checkMoments, type Normalization } from '../data/normalization.js';
import { OptionError } from '../errors.js';
import { GraphBuilder } from '../graph/builder.js';
import { encodeMessage, isFileModel, withPatch } from '../graph/file-model.js';
import { formatType, type Graph, Value } from '../graph/graph.js';
import { inline } from '../graph/inline.js';
import { checkModel, type Model, newElements } from '../graph/model.js';
import { prepended } from '../graph/onnx-prepend.js';
import { decodeProto, whileReading } from '../graph/onnx-reader.js';
import { elementCount, type TensorData, tensorFrom } from '../graph/tensor.js';
import { semantics } from '../ops/table.js';

type Message = ReturnType<typeof prepended>;

const meanName = 'normalization.mean';
const deviationName = 'normalization.deviation';
/** What is done to the input, with the names of the nodes. */
const steps = [
  { op: 'Sub', tensor: meanName, name: 'normalization.centred' },
  { op: 'Div', tensor: deviationName, name: 'normalization.scaled' },
] as const;

/**
 * The model with a normalization before it: before its one input, or of several the one of real numbers. Its mean and
 * deviation are among `statistics`, as `normalization.mean` and `normalization.deviation`; in the file they are
 * constants, which no training moves.
 * @throws OptionError where the channels do not fit the model's input, numbers are not usable, the model has a
 *   normalization already, or several inputs of real numbers
 * @example
 * const model = normalized(await loadModel('classifier.onnx'), { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] });
 */
export function normalized(model: Model, normalization: Normalization): Model {
  checkModel('normalized', model);
  checkMoments(normalization);
  const known = normalizationOf(model);
  if (known) {
    throw new OptionError(
      `model '${model.name}' normalizes its input already, by ${describeNormalization(known)}: train it without another normalization`,
    );
  }
  const { inputs } = model.graph;
  const [input, ...others] = inputs.length === 1 ? inputs : inputs.filter(({ dtype }) => dtype === 'float32');
  if (!input || others.length > 0) {
    const names = inputs.map((one) => `'${one.name}' (${formatType(one.type)})`).join(', ');
    throw new OptionError(
      `model '${model.name}' has the inputs ${names || '(none)'}; cgfac normalizes the only one of real numbers, and there ${input ? 'are several' : 'is none'}: train it without a normalization`,
    );
  }
  const own = tensorsFor(model, input, normalization);
  const inFront = (proto: Message, updated: ReadonlyMap<string, TensorData>): Message => {
    newElements(
      model.name,
      own,
      new Map(),
      pick(updated, (name) => own.has(name)),
    ); // checks types and shapes
    const by = steps.flatMap(({ tensor, ...step }) => {
      const value = updated.get(tensor) ?? own.get(tensor)?.constant;
      return value ? [{ ...step, constant: tensor, value }] : [];
    });
    return prepended(proto, input.name, by);
  };
  const rest = (updated: ReadonlyMap<string, TensorData>) => pick(updated, (name) => !own.has(name));
  const changed = {
    graph: normalizedGraph(model, input, own),
    statistics: new Map([...model.statistics, ...own]),
  };
  if (isFileModel(model)) {
    return withPatch(model, changed, (updated, dtype) => inFront(model.patched(rest(updated), dtype), updated));
  }
  const encode: Model['encode'] = (updated) =>
    encodeMessage(inFront(decodeProto(model.encode(rest(updated))), updated), model.name);
  return { ...model, ...changed, encode };
}

/** What a model takes out of its input, where `normalized` made it so or a file that it wrote. */
export function normalizationOf({ graph }: Model): Normalization | undefined {
  const [mean, deviation] = steps.map(
    ({ name }) => graph.nodes.find((node) => node.name === name)?.inputs[1]?.constant,
  );
  if (!mean || !deviation) return undefined;
  return { mean: Array.from(mean.data, Number), deviation: Array.from(deviation.data, Number) };
}

/** The name of the input that a model normalizes first. */
export const normalizedInput = ({ graph }: Model): string | undefined =>
  graph.nodes.find(({ name }) => name === steps[0].name)?.inputs[0]?.name;

/** `mean 0.1307, deviation 0.3081`, of the first few channels. */
export function describeNormalization({ mean, deviation }: Normalization): string {
  const listed = (numbers: readonly number[]) => {
    const distinct = numbers.every((number) => number === numbers[0]) ? numbers.slice(0, 1) : numbers;
    const shown = distinct.slice(0, 3).map((number) => Number(number.toPrecision(4)));
    return distinct.length > 3 ? `${shown.join(', ')}, … (${distinct.length} of them)` : shown.join(', ');
  };
  return `mean ${listed(mean)}, deviation ${listed(deviation)}`;
}

const pick = (tensors: ReadonlyMap<string, TensorData>, wanted: (name: string) => boolean) =>
  new Map([...tensors].filter(([name]) => wanted(name)));

/** Mean and deviation in shapes that broadcast over the batch. */
function tensorsFor(model: Model, input: Value, { mean, deviation }: Normalization): Map<string, Value> {
  const broken = [...mean, ...deviation].find((number) => !Number.isFinite(number));
  const wrong = broken ?? deviation.find((number) => !(Math.fround(number) > 0));
  if (wrong !== undefined) {
    throw new OptionError(
      `a normalization by mean [${mean}] and deviation [${deviation}] cannot be done: ${wrong} is no ${broken === undefined ? 'deviation above 0' : 'finite number'}`,
    );
  }
  const dims = mean.length === deviation.length ? shapeFor(input, mean.length) : undefined;
  if (!dims) {
    throw new OptionError(
      `a normalization of ${mean.length} means and ${deviation.length} deviations does not fit the input '${input.name}' of model '${model.name}', which is ${formatType(input.type)}: give one of each per channel`,
    );
  }
  const each = elementCount(dims) / mean.length;
  const stored = (name: string, numbers: readonly number[]): [string, Value] => {
    const elements = numbers.flatMap((number) => Array<number>(each).fill(number));
    return [name, new Value(name, { dtype: 'float32', shape: dims }, tensorFrom('float32', dims, elements))];
  };
  return new Map([stored(meanName, mean), stored(deviationName, deviation)]);
}

/**
 * One number for all, one for each channel (the first axis of an example, or the last of pictures that have them there),
 * or for each of a flattened picture's planes.
 */
function shapeFor(input: Value, channels: number): readonly number[] | undefined {
  const [size, ...more] = input.shape.slice(1);
  if (input.dtype !== 'float32' || channels === 0) return undefined;
  if (channels === 1) return [1];
  if (size === channels) return [channels, ...more.map(() => 1)];
  if (more.length === 2 && more[1] === channels) return [channels];
  return typeof size === 'number' && more.length === 0 && size % channels === 0 ? [size] : undefined;
}

function normalizedGraph(model: Model, input: Value, own: ReadonlyMap<string, Value>): Graph {
  const b = new GraphBuilder(whileReading(semantics));
  const bindings = new Map<Value, Value>();
  for (const one of model.graph.inputs) bindings.set(one, b.input(one.name, one.dtype, one.shape));
  let x = bindings.get(input);
  for (const { op, tensor, name } of steps) {
    [x] = b.node(op, [x, own.get(tensor)], {}, { name, outputs: [name], types: [input.type] }) as [Value]; // one is asked for
  }
  if (x) bindings.set(input, x);
  // Stored tensors stay what they are: training binds them by identity.
  for (const value of [...model.parameters.values(), ...model.statistics.values()]) bindings.set(value, value);
  return b.build(model.graph.name, Object.fromEntries(inline(b, model.graph, bindings).outputs));
}
