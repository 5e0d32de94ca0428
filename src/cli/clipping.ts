// Bounds on gradients, which almost every optimizer takes: the gradient is cut before the optimizer sees it.
import { namedChain } from '../optimizers/chain.js';
import type { Schedule } from '../optimizers/schedules.js';
import { clipByGlobalNorm, clipByValue } from '../optimizers/transforms/clip.js';
import type { Transform } from '../optimizers/transforms/updates.js';
import { type DescribedOptions, option } from './named-options.js';
import type { OptimizerKind, OptimizerKinds } from './optimizer-kind.js';

const clipOptions = {
  'clip-norm': option('schedule', 'largest norm of the gradient of all parameters: longer ones are cut', 'none'),
  'clip-value': option('schedule', 'largest size of an element of a gradient: larger ones are cut', 'none'),
} as const satisfies DescribedOptions;

/** Return the kinds of optimizers with the options of clipping. */
export const withClipping = (kinds: OptimizerKinds): OptimizerKinds =>
  Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [name, clipped(kind)]));

const clipped = (kind: OptimizerKind): OptimizerKind => ({
  ...kind,
  options: { ...kind.options, ...clipOptions },
  create({ clipNorm, clipValue, ...own }, setting) {
    const optimizer = kind.create(own, setting);
    // They were read as schedules. Elements first: the norm is that of what is left.
    const clips: readonly Transform[] = [
      ...(clipValue === undefined ? [] : [clipByValue(clipValue as Schedule)]),
      ...(clipNorm === undefined ? [] : [clipByGlobalNorm(clipNorm as Schedule)]),
    ];
    return clips.length === 0 ? optimizer : namedChain(optimizer.name, ...clips, optimizer);
  },
});
