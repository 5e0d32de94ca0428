// A model that normalizes its own input: (x − mean) / deviation comes before its first layer, in training and in the file.
// Users of the file feed it values as the data have them; there is no preprocessing to remember.

import { OptionError } from '../../errors.js';
import { formatType, type Graph, type Value } from '../../graph/graph.js';
import { inline } from '../../graph/inline.js';
import { checkNormalization, describeNormalization, type Normalization } from '../../normalization.js';
import { prepended } from '../../onnx/edits/constant-steps.js';
import { checkModel, type Model } from '../model.js';
import { copyOf } from './graph-copy.js';
import { constantOf, withConstants } from './own-constants.js';

const meanName = 'normalization.mean';
const deviationName = 'normalization.deviation';
/** The nodes that normalize the input. */
const steps = [
  { op: 'Sub', tensor: meanName, name: 'normalization.centred' },
  { op: 'Div', tensor: deviationName, name: 'normalization.scaled' },
] as const;

/**
 * Return the model with a normalization of its input; if it has several, of the one of real numbers. Its mean and
 * deviation are among `statistics`, as `normalization.mean` and `normalization.deviation`; in the file they are
 * constants, which no training moves.
 * @throws OptionError if the channels do not fit the model's input, numbers are not usable, the model has a
 *   normalization already, or several inputs of real numbers
 * @example
 * const model = withNormalization(await loadModel('photos.onnx'), { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] });
 */
export function withNormalization(model: Model, normalization: Normalization): Model {
  checkModel('withNormalization', model);
  checkNormalization(normalization);
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
  return withConstants(model, own, normalizedGraph(model, input, own), (proto, value) =>
    prepended(
      proto,
      input.name,
      steps.map(({ tensor, ...step }) => ({ ...step, constant: tensor, value: value(tensor) })),
    ),
  );
}

/** Return the normalization of a model that `withNormalization` made, or of a file of one; undefined for others. */
export function normalizationOf({ graph }: Model): Normalization | undefined {
  const [mean, deviation] = steps.map(
    ({ name }) => graph.nodes.find((node) => node.name === name)?.inputs[1]?.constant,
  );
  if (!mean || !deviation) return undefined;
  return { mean: Array.from(mean.data, Number), deviation: Array.from(deviation.data, Number) };
}

/** Return the name of the input that a model normalizes. */
export const normalizedInput = ({ graph }: Model): string | undefined =>
  graph.nodes.find(({ name }) => name === steps[0].name)?.inputs[0]?.name;

/** Return mean and deviation in shapes that broadcast over the batch. */
function tensorsFor(model: Model, input: Value, normalization: Normalization): Map<string, Value> {
  const { mean, deviation } = normalization;
  const dims = mean.length === deviation.length ? shapeFor(input, mean.length) : undefined;
  if (!dims) {
    throw new OptionError(
      `a normalization of ${mean.length} means and ${deviation.length} deviations does not fit the input '${input.name}' of model '${model.name}', which is ${formatType(input.type)}: give one of each per channel`,
    );
  }
  return new Map([constantOf(meanName, mean, dims), constantOf(deviationName, deviation, dims)]);
}

/**
 * Return the shape of a normalization: one number for all, one for each channel (the first axis of an example, or the last
 * of pictures with channels last), or one for each plane of a flattened picture. Undefined if the channels do not fit.
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
  const { b, bindings } = copyOf(model);
  let x = bindings.get(input);
  for (const { op, tensor, name } of steps) {
    x = b.op(op, [x, own.get(tensor)], {}, { name, outputs: [name], types: [input.type] });
  }
  if (x) bindings.set(input, x);
  return b.build(model.graph.name, Object.fromEntries(inline(b, model.graph, bindings).outputs));
}
