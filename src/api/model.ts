// The public functions on models: load a file, take the loss and its gradients, save it with new parameters.
import { Tensor } from 'onnxruntime-common';
import { gradients } from '../autodiff/gradients.js';
import type { Engine } from '../engine/engine.js';
import { GraphError, OptionError } from '../errors.js';
import { formatType, type TensorType, type Value } from '../graph/graph.js';
import {
  allocate,
  type DataType,
  isDataType,
  isFloatingPoint,
  type TensorData,
  type TypedArray,
  tensor,
} from '../graph/tensor.js';
import { lossNamed } from '../losses/index.js';
import type { LossName } from '../losses/loss.js';
import { applyModel, logitsOf } from '../losses/objective.js';
import { type FileModel, modelFromBytes } from '../model/file-model.js';
import { checkModel, type Model, newElements } from '../model/model.js';
import { widen } from '../onnx/edits/widen.js';
import type { SaveOptions } from '../onnx/file.js';
import { Builder } from '../ops/builder.js';
import type { OpDefinition } from '../ops/definition.js';
import { checkOperators, semantics } from '../ops/table.js';
import { checkKeys, described, isRecord, type OptionKeys } from '../options.js';

export interface LoadModelOptions {
  /** Definitions of operators that cgfac does not know, by name: `my.domain.Name`, or `Name` for one of ONNX's own. */
  readonly operators?: Readonly<Record<string, OpDefinition>>;
}

const loadKeys: OptionKeys<LoadModelOptions> = { operators: true };

/**
 * Reads an ONNX model. A path also gives access to external data beside the file.
 *
 * Floating-point initializers become the model's parameters, except running averages of batch normalization
 * (`statistics`) and what is recognizably a constant (`untrained`, with the reason). 16-bit floats are held as float32.
 * @throws FileError where the file is missing, damaged or no ONNX model; UnsupportedError where it is of an operator set
 *   or holds tensors that cgfac does not read; OptionError for operators that are none
 * @example
 * const model = await loadModel('classifier.onnx');
 * console.log([...model.parameters.keys()]);
 */
export async function loadModel(pathOrBytes: string | Uint8Array, options: LoadModelOptions = {}): Promise<FileModel> {
  checkKeys('loadModel', options, loadKeys);
  const { operators = {} } = options;
  checkOperators(operators);
  if (typeof pathOrBytes !== 'string') {
    if (pathOrBytes instanceof Uint8Array) return modelFromBytes(pathOrBytes, semantics, { operators });
    throw new OptionError(
      `loadModel takes a path or the bytes of a file in a Uint8Array, not ${described(pathOrBytes)}`,
    );
  }
  const { readModelFile } = await import('../model/file.js');
  return readModelFile(pathOrBytes, semantics, operators);
}

/** What to differentiate, and where. */
export interface GradientRequest {
  readonly loss: LossName;
  /** The model's input, or its inputs by name; the first axis is the batch. Token numbers may be of any integer type. */
  readonly inputs: Tensor | Readonly<Record<string, Tensor>>;
  /**
   * Integer labels 0, 1, … for softmax cross-entropy, in the logits' shape without the axis of the classes: the last, or
   * the second where only that fits (`[batch, classes, height, width]`). Else numbers in the output's shape.
   */
  readonly targets: Tensor;
  /**
   * Names: differentiate by these parameters only. Tensors by name: differentiate by all, at these values instead of
   * the file's; running averages may be among them, as `train` returns them. By default all parameters at the file's
   * values.
   */
  readonly parameters?: readonly string[] | ReadonlyMap<string, Tensor>;
  /** Where to compute; by default a `nodeEngine` of its own, which is closed again. */
  readonly engine?: Engine;
}

export interface ValueAndGradients {
  /** Mean over all rows of logits (softmax cross-entropy) or over all elements, as PyTorch's losses reduce by default. */
  readonly loss: number;
  /** By the name of the initializer, in its shape. Zeros where the loss does not depend on one. */
  readonly gradients: Map<string, Tensor>;
}

const requestKeys: OptionKeys<GradientRequest> = {
  loss: true,
  inputs: true,
  targets: true,
  parameters: true,
  engine: true,
};

/**
 * The loss of a model on a batch, and its gradients by the parameters.
 * @throws GraphError where inputs or targets do not fit the model; UnsupportedError naming the node where an operator
 *   between the loss and a parameter has no gradient; OptionError for an unknown loss or parameter
 * @example
 * const { loss, gradients } = await valueAndGradients(model, { loss: 'softmax-cross-entropy', inputs, targets });
 */
export async function valueAndGradients(model: Model, request: GradientRequest): Promise<ValueAndGradients> {
  checkModel('valueAndGradients', model);
  checkKeys('valueAndGradients', request, requestKeys);
  const loss = lossNamed(request.loss);
  const { names, values } = chosenParameters(model, request.parameters);
  const feeds: Record<string, TensorData> = {};
  const b = new Builder();
  const input = (name: string, data: TensorData): Value => {
    feeds[name] = data;
    return b.input(name, data.dtype, data.dims);
  };
  const inputs = new Map<string, Value>();
  for (const [name, data] of givenInputs(model, request.inputs)) inputs.set(name, input(name, data));
  const parameters = new Map<string, Value>();
  for (const name of names) {
    const data = values.get(name);
    if (data) parameters.set(name, input(name, data));
  }
  const bound = new Map(parameters);
  for (const [name, data] of values) if (model.statistics.has(name)) bound.set(name, input(name, data));
  const given = toData(request.targets, 'the targets');
  const output = logitsOf(b, loss, applyModel(b, model, bound, Object.fromEntries(inputs)), given.dims);
  const labels = targetsFor(given, loss.targetType(output));
  if (loss.name === 'softmax-cross-entropy') checkLabels(labels, output);
  const targets = input('cgfac/targets', labels);
  const value = loss.value(b, output, targets);
  const targetsOfGradient = [...parameters.values()];
  const found = gradients(b, value, targetsOfGradient);
  const outputs: Record<string, Value> = { 'cgfac/loss': value };
  for (const [i, name] of names.entries()) outputs[`cgfac/gradient/${name}`] = found[i] ?? value;
  const engine = request.engine?.open() ?? (await ownEngine());
  try {
    const program = await engine.compile(b.build('gradients', outputs));
    const results = await program.run(feeds);
    return {
      loss: Number(results['cgfac/loss']?.data[0]),
      gradients: new Map(names.map((name) => [name, toTensor(results[`cgfac/gradient/${name}`])])),
    };
  } finally {
    await engine.close();
  }
}

async function ownEngine(): Promise<Engine> {
  const { nodeEngine } = await import('../engine/node.js');
  return nodeEngine({ worker: false });
}

function chosenParameters(model: Model, chosen: GradientRequest['parameters']) {
  const values = new Map<string, TensorData>();
  for (const [name, value] of model.parameters) if (value.constant) values.set(name, value.constant);
  if (chosen === undefined) return { names: [...values.keys()], values };
  if (isNames(chosen)) {
    for (const name of chosen) {
      if (!values.has(name)) {
        throw new OptionError(
          `model '${model.name}' has no parameter '${name}'; it has ${[...values.keys()].join(', ') || 'none'}`,
        );
      }
    }
    return { names: [...chosen], values };
  }
  const given = new Map([...chosen].map(([name, value]) => [name, widen(toData(value, `parameter '${name}'`))]));
  newElements(model.name, model.parameters, model.statistics, given); // checks names, types and shapes
  for (const [name, value] of given) values.set(name, value);
  return { names: [...model.parameters.keys()].filter((name) => values.has(name)), values };
}

const isNames = (chosen: readonly string[] | ReadonlyMap<string, Tensor>): chosen is readonly string[] =>
  Array.isArray(chosen);

function givenInputs(model: Model, inputs: GradientRequest['inputs']): Map<string, TensorData> {
  const expected = model.graph.inputs;
  if (!isRecord(inputs))
    throw new OptionError(`the inputs are ${described(inputs)}; give a tensor, or tensors by name`);
  const [only] = expected;
  const given = new Map(isTensor(inputs) ? (only ? [[only.name, inputs]] : []) : Object.entries(inputs));
  const names = expected.map(({ name }) => name).join(', ');
  if (isTensor(inputs) && expected.length !== 1) {
    throw new OptionError(`model '${model.name}' has ${expected.length} inputs (${names}): give them by name`);
  }
  for (const name of given.keys()) {
    if (!expected.some((value) => value.name === name)) {
      throw new OptionError(`model '${model.name}' has no input '${name}'; its inputs are ${names}`);
    }
  }
  return new Map(
    expected.map((value) => {
      const input = given.get(value.name);
      if (!input) throw new OptionError(`the input '${value.name}' of model '${model.name}' is missing`);
      return [value.name, checkedInput(toData(input, `input '${value.name}'`), value)];
    }),
  );
}

function checkedInput(data: TensorData, declared: Value): TensorData {
  const given = isFloatingPoint(declared.dtype) ? widen(data) : asIntegers(data, declared.dtype);
  const { shape } = declared;
  const fits =
    given.dtype === declared.dtype &&
    given.dims.length === shape.length &&
    shape.every((size, axis) => typeof size === 'string' || size === given.dims[axis]);
  if (fits) return given;
  throw new GraphError(
    `the input '${declared.name}' is ${formatType(declared.type)}; a tensor ${formatType({ dtype: data.dtype, shape: data.dims })} does not fit it`,
  );
}

/** Targets in the element type and shape that the loss takes; labels may be of any integer type. */
function targetsFor(data: TensorData, expected: TensorType): TensorData {
  const given = isFloatingPoint(expected.dtype) ? widen(data) : asIntegers(data, expected.dtype);
  const fits =
    given.dtype === expected.dtype &&
    given.dims.length === expected.shape.length &&
    expected.shape.every((size, axis) => size === given.dims[axis]);
  if (fits) return given;
  throw new GraphError(
    `the targets for this output are ${formatType(expected)}; a tensor ${formatType({ dtype: data.dtype, shape: data.dims })} does not fit`,
  );
}

const isInteger = (dtype: DataType): boolean => !isFloatingPoint(dtype) && dtype !== 'bool';

/** Integers in another integer type where all of them fit it; anything else as it is. */
function asIntegers(data: TensorData, dtype: DataType): TensorData {
  if (data.dtype === dtype || !isInteger(data.dtype) || !isInteger(dtype)) return data;
  const converted = allocate(dtype, data.data.length);
  const isWide = converted instanceof BigInt64Array || converted instanceof BigUint64Array;
  for (let i = 0; i < data.data.length; i++) {
    const element = data.data[i] ?? 0;
    converted[i] = isWide ? BigInt(element) : Number(element);
    if (BigInt(converted[i] ?? 0) !== BigInt(element)) return data;
  }
  return tensor(dtype, data.dims, converted);
}

/** A label outside the classes would count as a row without loss: PyTorch refuses it, but for its `ignore_index`. */
function checkLabels(labels: TensorData, output: Value): void {
  const classes = output.shape.at(-1) ?? 0;
  for (const label of labels.data) {
    if (label >= 0 && label < Number(classes)) continue;
    throw new GraphError(
      `the targets hold ${label}, but the labels of ${classes} classes are 0 to ${Number(classes) - 1}; rows are not ` +
        'ignored by a special label: leave them out of the batch',
    );
  }
}

/** Not by `instanceof`: each copy of onnxruntime-common has a class of its own. */
const isTensor = (value: Tensor | Readonly<Record<string, Tensor>>): value is Tensor =>
  'dims' in value && Array.isArray(value.dims) && 'data' in value;

function toData(value: Tensor, what: string): TensorData {
  const given: unknown = value;
  if (!isRecord(given) || typeof given.type !== 'string' || !Array.isArray(given.dims)) {
    throw new OptionError(
      `${what} is ${described(given)}; give a tensor of onnxruntime-common: new Tensor('float32', data, dims)`,
    );
  }
  if (!isDataType(value.type)) throw new OptionError(`${what} is a tensor of ${value.type}, which models do not take`);
  return tensor(value.type, value.dims, value.data as TypedArray);
}

function toTensor(value: TensorData | undefined): Tensor {
  if (!value) throw new GraphError('the program did not return all gradients'); // a defect of the engine
  return new Tensor(value.dtype as 'float32', value.data as Float32Array, value.dims);
}

const saveKeys: OptionKeys<SaveOptions> = { dtype: true, largestFile: true };

/**
 * Writes a model to an `.onnx` file with new parameters (those that the map lacks keep their elements). A model that
 * came from a file keeps its inputs, outputs, node and parameter names, metadata and operator set. The file is written
 * whole or not at all.
 * @throws FileError where the path cannot be written; GraphError naming a parameter that does not fit, as where the model
 *   is the one given to `train` instead of the one that it returned; OptionError
 * @example
 * await saveModel(trained.model, trained.parameters, 'fine-tuned.onnx');
 */
export async function saveModel(
  model: Model,
  parameters: ReadonlyMap<string, TensorData>,
  path: string,
  options: SaveOptions = {},
): Promise<void> {
  checkModel('saveModel', model);
  if (!(parameters instanceof Map)) {
    const given: unknown = parameters;
    const hint =
      isRecord(given) && given.parameters instanceof Map ? 'give its .parameters' : 'give the map that train returns';
    throw new OptionError(`the parameters given to saveModel are ${described(given)}; ${hint}`);
  }
  if (typeof path !== 'string' || path === '')
    throw new OptionError(`the path given to saveModel is ${described(path)}; give a file's`);
  checkKeys('saveModel', options, saveKeys);
  const { writeModelFile } = await import('../model/file.js');
  await writeModelFile(model, parameters, path, options);
}
