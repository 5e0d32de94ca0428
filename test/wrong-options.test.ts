// What callers in JavaScript get wrong: every public function refuses it by name before it computes anything.

import { Tensor } from 'onnxruntime-common';
import { expect, it } from 'vitest';
import { webEngine } from '../src/engine/web.js';
import {
  adadelta,
  adahessian,
  adam,
  adamw,
  adan,
  addLora,
  adopt,
  autoencoder,
  autoencoding,
  CgfacError,
  type CgfacOptions,
  cgfac,
  charTransformer,
  type Dataset,
  dataset,
  drawnDigits,
  evaluate,
  fineTuned,
  jvp,
  kfac,
  kroneckerBlocks,
  lamb,
  lars,
  lbfgs,
  learningTask,
  lenet,
  loadData,
  loadModel,
  measureNormalization,
  measureTargetNormalization,
  mlp,
  Network,
  nodeEngine,
  type Optimizer,
  predict,
  prodigy,
  replaceHead,
  resnet20,
  saveModel,
  scheduleFree,
  scheduleFreeAdamw,
  scheduleFreeSgd,
  selectParameters,
  sgd,
  sophiaG,
  train,
  valueAndGradients,
  vjp,
  withInputShape,
  withNormalization,
  withTargetNormalization,
} from '../src/node.js';

/** As JavaScript calls: nothing is known of the types. */
type Loose = (...given: unknown[]) => unknown;
const loose = (call: (...given: never[]) => unknown): Loose => call as Loose;

const data = drawnDigits({ trainSize: 20, testSize: 10 });
const model = mlp({ seed: 1, sizes: [784, 8, 10] });
const usual = { data, optimizer: adam(), steps: 1, batchSize: 10 };
const trained = (options: object) => loose(train)(model, { ...usual, ...options });

/** The error of a call, whether it throws or rejects. */
async function refusal(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}

const functions: readonly [string, (unknown: object) => unknown][] = [
  ['cgfac', (unknown) => cgfac(unknown)],
  ['kfac', (unknown) => kfac(unknown)],
  ['adam', (unknown) => adam(unknown)],
  ['adamw', (unknown) => adamw(unknown)],
  ['sgd', (unknown) => sgd(unknown)],
  ['adadelta', (unknown) => adadelta(unknown)],
  ['adan', (unknown) => adan(unknown)],
  ['adopt', (unknown) => adopt(unknown)],
  ['lamb', (unknown) => lamb(unknown)],
  ['lars', (unknown) => lars(unknown)],
  ['adahessian', (unknown) => adahessian(unknown)],
  ['sophiaG', (unknown) => sophiaG(unknown)],
  ['scheduleFreeSgd', (unknown) => scheduleFreeSgd(unknown)],
  ['scheduleFreeAdamw', (unknown) => scheduleFreeAdamw(unknown)],
  ['scheduleFree', (unknown) => scheduleFree({ learningRate: 1, ...unknown })],
  ['prodigy', (unknown) => prodigy(unknown)],
  ['lbfgs', (unknown) => lbfgs(unknown)],
  ['mlp', (unknown) => mlp({ seed: 1, ...unknown })],
  ['autoencoder', (unknown) => autoencoder({ seed: 1, ...unknown })],
  ['lenet', (unknown) => lenet({ seed: 1, ...unknown })],
  ['resnet20', (unknown) => resnet20({ seed: 1, ...unknown })],
  ['charTransformer', (unknown) => charTransformer({ seed: 1, ...unknown })],
  ['loadData', (unknown) => loadData('digits', unknown)],
  ['drawnDigits', (unknown) => drawnDigits(unknown)],
  ['dataset', (unknown) => dataset({ ...data.train, ...unknown })],
  ['fineTuned', (unknown) => fineTuned(model, { seed: 1, ...unknown })],
  ['addLora', (unknown) => addLora(model, { seed: 1, rank: 1, ...unknown })],
  ['selectParameters', (unknown) => selectParameters(model, unknown)],
  ['nodeEngine', (unknown) => nodeEngine(unknown)],
  ['webEngine', (unknown) => webEngine({ provider: 'wasm', ...unknown })],
  ['saveModel', (unknown) => saveModel(model, 'nowhere/x.onnx', unknown)],
  ['predict', (unknown) => predict(model, new Float32Array(784), unknown)],
  ['evaluate', (unknown) => evaluate(model, data.test, unknown)],
  ['jvp', (unknown) => loose(jvp)(model, { inputs: new Float32Array(784), ...unknown })],
  ['vjp', (unknown) => loose(vjp)(model, { inputs: new Float32Array(784), ...unknown })],
  ['train', (unknown) => trained(unknown)],
  ['data', (unknown) => trained({ data: { ...data, ...unknown } })],
  ['augment', (unknown) => trained({ augment: unknown })],
  ['target', (unknown) => trained({ target: { metric: 'loss', value: 1, ...unknown } })],
  ['a normalization', (unknown) => trained({ normalize: { mean: [0], deviation: [1], ...unknown } })],
  ['valueAndGradients', (unknown) => loose(valueAndGradients)(model, { loss: 'softmax-cross-entropy', ...unknown })],
];

it.each(functions)('%s refuses an unknown option by name', async (name, call) => {
  const error = await refusal(() => call({ verbosity: 3 }));
  expect(error).toBeInstanceOf(CgfacError);
  expect(String(error)).toContain(`unknown option 'verbosity' of ${name}`);
});

const column = (given: unknown): Dataset =>
  ({ ...data.train, targets: { dtype: 'int64', shape: [], data: given } }) as Dataset;
const table = () => {
  const part = dataset({
    name: 'table',
    size: 4,
    inputs: { dtype: 'float32', shape: [4], data: new Float32Array(16) },
    targets: { dtype: 'int64', shape: [], data: new Int32Array(4) },
  });
  return { train: part, test: part };
};
const five = (): { train: Dataset; test: Dataset } => {
  const classes = ['a', 'b', 'c', 'd', 'e'];
  const labels = { dtype: 'int64', shape: [], data: new Int32Array(20) } as const;
  return { train: { ...data.train, classes, targets: labels }, test: { ...data.test, classes, targets: labels } };
};

const cases: readonly [string, () => unknown, RegExp][] = [
  [
    'an optimizer by name',
    () => trained({ optimizer: 'adam' }),
    /^OptionError: optimizer is 'adam'; call it: adam\(\)/,
  ],
  ['the function', () => trained({ optimizer: cgfac }), /optimizer is the function cgfac; call it: cgfac\(\)/],
  ['no optimizer', () => trained({ optimizer: undefined }), /optimizer is undefined; give one, as cgfac\(\) makes it/],
  ['no data', () => trained({ data: undefined }), /data are undefined; give \{ train, test \}/],
  ['one set', () => trained({ data: data.train }), /that is one data set: give \{ train, test \}/],
  [
    'no test set',
    () => trained({ data: { train: data.train } }),
    /data\.test, the set that is held out for evaluation, is undefined/,
  ],
  ['a promise of data', () => trained({ data: Promise.resolve(data) }), /data are a promise \(await it\)/],
  [
    'an empty test set',
    () => trained({ data: { ...data, test: { ...data.test, size: 0 } } }),
    /the test set 'digits test' has no examples/,
  ],
  [
    'an empty training set',
    () => trained({ data: { ...data, train: { ...data.train, size: 0 } } }),
    /nothing can be learned/,
  ],
  [
    'BigInt labels',
    () => dataset(column(new BigInt64Array(20))),
    /targets: data are a BigInt64Array; int64 is stored in a Int32Array: Int32Array\.from\(labels, Number\)/,
  ],
  [
    'plain arrays',
    () => dataset(column(Array(20).fill(0))),
    /data are an array of 20; int64 is stored in a Int32Array/,
  ],
  ['no column', () => loose(dataset)({ ...data.train, inputs: [1, 2] }), /inputs are an array of 2; give a column/],
  ['a hand-made set', () => trained({ data: { ...data, test: column(Array(20).fill(0)) } }), /data are an array of 20/],
  ['steps as text', () => trained({ steps: '10' }), /steps is '10'; it must be a whole number/],
  ['endless steps', () => trained({ steps: 1e12 }), /steps is 1000000000000; it must be .* at most 1000000000/],
  ['endless epochs', () => trained({ steps: undefined, epochs: 1e300 }), /epochs is 1e\+300; it must be .* at most/],
  ['a seed as text', () => trained({ seed: '1' }), /seed is '1'/],
  ['a controller', () => trained({ signal: new AbortController() }), /signal is a AbortController; give its \.signal/],
  ['an onStep that is none', () => trained({ callbacks: { onStep: 'log' } }), /onStep is 'log'; it must be a function/],
  [
    'a function for callbacks',
    () => trained({ callbacks: () => 0 }),
    /callbacks are the function callbacks; give an object/,
  ],
  [
    'an unknown event',
    () => trained({ callbacks: { onStart() {}, onsTep() {} } }),
    /unknown option 'onsTep' of callbacks.*onStep/,
  ],
  [
    'a path for a model',
    () => loose(train)('model.onnx', usual),
    /the model given to train is 'model\.onnx'; load it first/,
  ],
  ['the model function', () => loose(train)(mlp, usual), /the model given to train is the function mlp/],
  ['a promise of a model', () => loose(train)(Promise.resolve(model), usual), /is a promise \(await it\)/],
  ['too many threads', () => trained({ threads: 1e9 }), /threads is 1000000000; it must be .* at most 1024/],
  [
    'two means for four columns',
    () => trained({ data: table(), normalize: { mean: [0, 1], deviation: [1, 1] } }),
    /the mean of a normalization has 2 numbers, and 'table' has 4 columns/,
  ],
  ['a text for normalize', () => trained({ normalize: 'yes' }), /normalize is 'yes'; it must be true or false/],
  ['five classes, ten logits', () => trained({ data: five() }), /replaceHead\(model, 5, seed\).*--new-head 5/],
  ['an unknown loss', () => trained({ loss: 'mean-square-error' }), /did you mean 'mean-squared-error'/],
  [
    'a decay of averages as a function',
    () => adam({ beta1: (() => 0.9) as unknown as number }),
    /beta1 is the function .*it must be a finite number/,
  ],
  [
    'a schedule of NaN',
    () => trained({ optimizer: sgd({ learningRate: () => Number.NaN }) }),
    /learningRate is NaN at step 0; a schedule must give a finite number/,
  ],
  [
    'a word for damping',
    () => cgfac({ damping: 'tikhonov' } as unknown as CgfacOptions),
    /damping is 'tikhonov'; call it: tikhonov\(\)/,
  ],
  ['no layer', () => mlp({ seed: 1, sizes: [784] }), /sizes of mlp is \[784\]; it must name at least two/],
  [
    'a negative size',
    () => mlp({ seed: 1, sizes: [784, -3, 10] }),
    /sizes\[1\] of mlp is -3; it must be a whole number, at least 1/,
  ],
  [
    'sizes beyond memory',
    () => mlp({ seed: 1, sizes: [784, 1e14] }),
    /'fc1\.weight' of mlp would be \[784, 100000000000000\], which memory/,
  ],
  ['one size of a code', () => autoencoder({ seed: 1, sizes: [3] }), /sizes of autoencoder is \[3\]/],
  ['no seed', () => loose(mlp)({}), /seed is undefined; it must be a whole number/],
  ['no classes', () => lenet({ seed: 1, classes: -1 }), /classes of lenet is -1/],
  ['half a picture', () => loose(lenet)({ seed: 1, input: [1, 28] }), /input of lenet is an array of 2/],
  ['no width', () => resnet20({ seed: 1, width: 0 }), /width of resnet20 is 0/],
  ['no vocabulary', () => charTransformer({ seed: 1, vocabulary: 0 }), /vocabulary of charTransformer is 0/],
  [
    'a long context',
    () => charTransformer({ seed: 1, context: 1e5 }),
    /context of charTransformer is 100000; .* at most 16384/,
  ],
  [
    'a large rank',
    () => addLora(model, { seed: 1, rank: 9 }),
    /rank 9 are larger than the layer 'fc1\.weight' of 784 inputs and 8 outputs; choose a rank of at most 8/,
  ],
  [
    'a glob that is no list',
    () => loose(selectParameters)(model, { train: 'fc1*' }),
    /train is 'fc1\*'; it must be an array/,
  ],
  ['half a class', () => replaceHead(model, 2.5, 1), /the new number of classes is 2\.5/],
  ['no model', () => loose(kroneckerBlocks)('m'), /the model given to kroneckerBlocks is 'm'/],
  ['data that are a path', () => loose(learningTask)(model, 'digits'), /data are 'digits'; give \{ train, test \}/],
  [
    'a number for bytes',
    () => loose(loadModel)(3),
    /loadModel takes a path or the bytes of a file in a Uint8Array, not 3/,
  ],
  [
    'an element type of files that there is not',
    () => loose(saveModel)(model, 'x.onnx', { dtype: 'float17' }),
    /dtype is 'float17' \(did you mean 'float16'\?\)/,
  ],
  [
    'an option of a network',
    () => new Network('n', { seed: 1, sed: 2 } as object as { seed: number }),
    /'sed' of Network/,
  ],
  ['the parameters beside the model', () => loose(saveModel)(model, new Map(), 'x.onnx'), /model\.with\(parameters\)/],
  [
    'no tensor',
    () =>
      loose(valueAndGradients)(model, {
        loss: 'softmax-cross-entropy',
        inputs: 'picture.png',
        targets: new Tensor('int64', [0n], [1]),
      }),
    /the inputs are 'picture\.png'; give a tensor or an array/,
  ],
];

it.each(cases)('%s', async (_, call, message) => {
  const error = await refusal(call);
  expect(error).toBeInstanceOf(CgfacError);
  expect(String(error)).toMatch(message);
});

it('takes undefined as absent', async () => {
  const after = async (optimizer: Optimizer) => (await train(model, { ...usual, optimizer })).parameters;
  expect(await after(loose(adamw)({ weightDecay: undefined }) as Optimizer)).toEqual(await after(adamw()));
  expect(() => loose(cgfac)({ learningRate: undefined, verbosity: undefined })).not.toThrow();
});

it('says that a model holds no numbers, or has nothing to train', async () => {
  const broken = mlp({ seed: 1, sizes: [784, 10] });
  broken.parameters.get('fc1.weight')?.constant?.data.fill(Number.NaN as never, 5, 6);
  expect(String(await refusal(() => train(broken, { ...usual, optimizer: cgfac() })))).toMatch(
    /'fc1\.weight' of model 'mlp' holds NaN \(element 5 of 7840\) before the first step/,
  );
  expect(String(await refusal(() => train({ ...model, parameters: new Map() }, usual)))).toMatch(
    /model 'mlp' has nothing to train: it has no parameters/,
  );
});

it('takes all examples where there are fewer than a batch, and says how many', async () => {
  const { record } = await train(model, { data, optimizer: sgd(), epochs: 2, threads: 1 });
  expect(record).toMatchObject({ batchSize: 20, steps: [{ epoch: 1 }, { epoch: 2 }] });
});

it.each([
  ['measureNormalization', () => loose(measureNormalization)(data), /unknown option 'train' of dataset/],
  [
    'withNormalization',
    () => loose(withNormalization)(model, { mean: 1, deviation: 2 }),
    /the mean of a normalization is 1; give an array/,
  ],
  ['measureTargetNormalization', () => loose(measureTargetNormalization)(data), /unknown option 'train' of dataset/],
  [
    'withTargetNormalization',
    () => loose(withTargetNormalization)(model, { mean: [0], deviations: [1] }),
    /unknown option 'deviations' of a normalization \(did you mean 'deviation'\?\)/,
  ],
  ['withInputShape', () => loose(withInputShape)(data.train, 784), /shape is 784; give the sizes of one example/],
  ['autoencoding', () => loose(autoencoding)('digits'), /the options of dataset are 'digits'/],
])('%s takes nothing else for a data set, a shape or moments', async (_, call, message) => {
  const error = await refusal(call);
  expect(error).toBeInstanceOf(CgfacError);
  expect(String(error)).toMatch(message);
});
