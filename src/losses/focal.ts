// Focal losses: cross-entropies with small weights for examples that the model predicts well (Lin et al. 2017, arXiv
// 1708.02002).
import { accuracy } from '../metrics/accuracy.js';
import { checkedNumber, checkKeys } from '../options.js';
import { crossEntropies } from './binary-cross-entropy.js';
import { oneHot } from './cross-entropy.js';
import { asOutput } from './elements.js';
import { beforeSigmoid, beforeSoftmax } from './logits.js';
import type { Loss } from './loss.js';
import { weightedMean } from './reduction.js';

export interface FocalOptions {
  /** Exponent γ; 0 is cross-entropy, 2 the default. */
  readonly gamma?: number;
}

export interface BinaryFocalOptions extends FocalOptions {
  /** Weight α of targets of 1; targets of 0 have the weight 1 − α. If left out, all weights are 1. */
  readonly alpha?: number;
}

/**
 * Return the mean over rows of −(1 − p)^γ·log p, with the softmax's probability p of the label. Second-order steps measure
 * its curvature by the targets of the data.
 * @throws OptionError for a negative γ
 * @example
 * const loss = focal({ gamma: 2 });
 */
export function focal(options: FocalOptions = {}): Loss {
  checkKeys('focal', options, { gamma: true });
  const gamma = checkedNumber('gamma', options.gamma ?? 2, { atLeast: 0 });
  return {
    name: 'focal',
    targets: 'labels',
    contained: beforeSoftmax,
    expected: (b, output) => b.softmax(output),
    targetType: (output) => ({ dtype: 'int64', shape: output.shape.slice(0, -1) }),
    value(b, output, targets, weights) {
      const logarithms = b.sum(b.mul(b.logSoftmax(output), oneHot(b, targets, output)), [output.rank - 1]);
      const wrong = b.sub(1, b.exp(logarithms));
      return b.neg(weightedMean(b, gamma === 0 ? logarithms : b.mul(b.pow(wrong, gamma), logarithms), weights));
    },
    metric: accuracy(),
    step: 'normalized',
  };
}

/**
 * Return the mean over all elements of the binary cross-entropy times α_y·(1 − p_y)^γ, with the sigmoid's probability p_y of
 * the target 0 or 1; equal to torchvision's `sigmoid_focal_loss` with `reduction='mean'`.
 * @throws OptionError for options out of range
 * @example
 * const loss = binaryFocal({ gamma: 2, alpha: 0.25 });
 */
export function binaryFocal(options: BinaryFocalOptions = {}): Loss {
  checkKeys('binaryFocal', options, { gamma: true, alpha: true });
  const gamma = checkedNumber('gamma', options.gamma ?? 2, { atLeast: 0 });
  const { alpha } = options;
  if (alpha !== undefined) checkedNumber('alpha', alpha, { atLeast: 0, atMost: 1 });
  return {
    name: 'binary-focal',
    targets: 'values',
    contained: (b, prediction) => beforeSigmoid(b, prediction) ?? prediction,
    expected: (b, output) => b.sigmoid(output),
    targetType: asOutput,
    value(b, output, targets, weights) {
      const p = b.sigmoid(output);
      // 1 − p_y = p + y − 2·p·y
      const wrong = b.sub(b.add(p, targets), b.mul(b.mul(p, targets), 2));
      const entropies = crossEntropies(b, output, targets);
      const each = gamma === 0 ? entropies : b.mul(b.pow(wrong, gamma), entropies);
      // α·y + (1 − α)·(1 − y)
      const shares = alpha === undefined ? undefined : b.add(b.mul(targets, 2 * alpha - 1), 1 - alpha);
      return weightedMean(b, shares ? b.mul(shares, each) : each, weights);
    },
    metric: accuracy(),
    step: 'self-tuning',
  };
}
