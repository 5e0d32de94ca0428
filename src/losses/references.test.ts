// Values and gradients of the losses against those of PyTorch, recorded.
import { describe, expect, it } from 'vitest';
import { FedBuilder } from '../../test/support/fed-builder.js';
import { type LossCase, lossCase } from '../../test/support/references.js';
import { gradients } from '../autodiff/gradients.js';
import { binaryCrossEntropy } from './binary-cross-entropy.js';
import { crossEntropy } from './cross-entropy.js';
import { binaryFocal, focal } from './focal.js';
import { hinge } from './hinge.js';
import { huber } from './huber.js';
import type { Loss } from './loss.js';
import { meanAbsoluteError } from './mean-absolute-error.js';
import { meanSquaredError } from './mean-squared-error.js';
import { poisson } from './poisson.js';

const weightOf = ({ inputs }: LossCase, name = 'weight'): number[] => [...(inputs[name]?.values ?? [])];

const crossEntropies = 'cross-entropy';
const binary = 'binary-cross-entropy-with-logits';
const [classWeights, soft, both] = [
  lossCase(crossEntropies, 'class weights'),
  lossCase(crossEntropies, 'soft targets, class weights, label smoothing'),
  lossCase(crossEntropies, 'class weights, label smoothing, ignore index'),
];
const positive = lossCase(binary, 'pos_weight');

const cases: readonly (readonly [string, Loss, LossCase])[] = [
  ['cross-entropy', crossEntropy(), lossCase(crossEntropies, 'plain')],
  ['label smoothing', crossEntropy({ labelSmoothing: 0.1 }), lossCase(crossEntropies, 'label smoothing')],
  ['ignored rows', crossEntropy({ ignoreIndex: -100 }), lossCase(crossEntropies, 'ignore index')],
  ['class weights', crossEntropy({ classWeights: weightOf(classWeights) }), classWeights],
  [
    'class weights, smoothing and ignored rows',
    crossEntropy({ classWeights: weightOf(both), labelSmoothing: 0.2, ignoreIndex: 1 }),
    both,
  ],
  ['soft targets', crossEntropy(), lossCase(crossEntropies, 'soft targets')],
  ['soft targets, weighted', crossEntropy({ classWeights: weightOf(soft), labelSmoothing: 0.1 }), soft],
  ['classes on the second axis', crossEntropy(), lossCase(crossEntropies, 'maps')],
  ['large logits', crossEntropy(), lossCase(crossEntropies, 'large logits')],
  ['binary', binaryCrossEntropy(), lossCase(binary, 'plain')],
  ['binary, soft', binaryCrossEntropy(), lossCase(binary, 'soft targets')],
  ['binary, positive weight', binaryCrossEntropy({ positiveWeight: weightOf(positive, 'pos_weight') }), positive],
  ['binary, large logits', binaryCrossEntropy(), lossCase(binary, 'large logits')],
  ['squared error', meanSquaredError(), lossCase('regression', 'mse')],
  ['absolute error', meanAbsoluteError(), lossCase('regression', 'l1')],
  ['Huber, 1', huber(), lossCase('regression', 'huber', { delta: 1 })],
  ['Huber, 0.3', huber({ delta: 0.3 }), lossCase('regression', 'huber', { delta: 0.3 })],
  ['Poisson', poisson(), lossCase('poisson-nll', 'log input')],
  ['Poisson of rates', poisson({ logInput: false }), lossCase('poisson-nll', 'rate input')],
  ['Poisson, full', poisson({ full: true }), lossCase('poisson-nll', 'log input, full')],
  ['focal', focal(), lossCase('dice-focal', 'focal, classes')],
  ['binary focal', binaryFocal({ alpha: 0.25 }), lossCase('dice-focal', 'focal, binary')],
  ['hinge', hinge(), lossCase('hinge', 'binary hinge (formula: mean of max(0, 1 - t*x))')],
  ['squared hinge', hinge({ squared: true }), lossCase('hinge', 'squared binary hinge (formula)')],
];

describe('equal to recorded values and gradients', () => {
  it.each(cases)('%s', async (_, loss, { inputs, loss: expected, gradients: slopes }) => {
    const { prediction, target } = inputs;
    if (!prediction || !target) throw new Error('a case has a prediction and a target');
    const b = new FedBuilder();
    const given = b.given(prediction.shape, prediction.values);
    const output = loss.contained?.(b, given, target.shape) ?? given;
    const isLabels = loss.targets === 'labels' && target.shape.length < prediction.shape.length;
    const targets = b.given(target.shape, target.values, isLabels ? 'int64' : 'float64');
    const value = loss.value(b, output, targets);
    const [slope = value] = gradients(b, value, [given]);
    const results = await b.compute({ value, slope });
    expect(results.value[0]).toBeCloseTo(expected, 11);
    const [wanted = []] = Object.values(slopes);
    expect(results.slope).toHaveLength(wanted.length);
    for (const [i, element] of wanted.entries()) expect(results.slope[i]).toBeCloseTo(element, 11);
  });
});

it('a row of which nothing counts is 0, and so are its derivatives', async () => {
  const b = new FedBuilder();
  const output = b.given([2, 3], [1, 2, 3, 4, 5, 6]);
  const value = crossEntropy({ ignoreIndex: -100 }).value(b, output, b.given([2], [-100, -100], 'int64'));
  const [slope = value] = gradients(b, value, [output]);
  const results = await b.compute({ value, slope });
  expect(results.value.map(Math.abs)).toEqual([0]);
  expect(results.slope.map(Math.abs)).toEqual([0, 0, 0, 0, 0, 0]);
});
