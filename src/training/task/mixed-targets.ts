// What the targets of mixed examples are, by the loss that takes them.
import type { MixedTargets } from '../../data/augmentation/mix.js';
import { OptionError } from '../../errors.js';
import type { LearningTask } from './task.js';

/** Return what mixed targets of a task are. @throws OptionError if its loss cannot take any */
export function mixedTargets({ loss, output, data }: Pick<LearningTask, 'loss' | 'output' | 'data'>): MixedTargets {
  const { name, targets } = data.train;
  const refused = (why: string) =>
    new OptionError(`the targets of '${name}' cannot be mixed, as mixup and cutmix do: ${why}; leave it out`);
  if (targets.dtype !== 'int64') {
    if (loss.targets === 'labels') return 'probabilities';
    if (loss.targetRange?.only) throw refused(`the loss ${loss.name} takes no numbers between classes`);
    return 'values';
  }
  if (!loss.softTargets) throw refused(`the loss ${loss.name} takes no probabilities of classes`);
  if (loss.ignoredLabel !== undefined) throw refused(`the loss ${loss.name} ignores rows by their label`);
  const [classes] = output;
  if (classes === undefined || output.length > 1 || targets.shape.length > 0) {
    throw refused('an example has more than one label');
  }
  return { classes };
}
