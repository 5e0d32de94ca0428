// What a model's numbers mean after it was trained on a task: what the data say, and what they do not, as it was before.
import { aligned, areNumbersOf } from '../../data/align.js';
import type { DataSplits, Dataset } from '../../data/dataset.js';
import { isUnnamed } from '../../graph/inputs.js';
import { lossNames, lossOf } from '../../losses/index.js';
import type { Loss } from '../../losses/loss.js';
import type { Meaning } from '../../meaning.js';
import type { LearningTask } from './task.js';

/**
 * Return all sets brought to the meaning of a model that was trained before; as they are, with a warning, if their columns,
 * classes or characters are others.
 */
export function alignedSplits(known: Meaning, data: DataSplits): { data: DataSplits; warnings: readonly string[] } {
  const sets: Record<string, Dataset> = {};
  for (const [part, set] of Object.entries<Dataset | undefined>({ ...data })) {
    if (set === undefined) continue;
    const result = aligned(known, set);
    if ('misfit' in result) return { data, warnings: [asGiven(result.misfit)] };
    sets[part] = result.set;
  }
  return { data: { ...data, ...sets }, warnings: [] };
}

const asGiven = (misfit: string): string =>
  `${misfit.slice(0, 1).toUpperCase()}${misfit.slice(1)}. The model goes on with those of the data, in their order, from weights that were trained for others.`;

/**
 * Return the meaning of a model that is trained on a task.
 * @param before its meaning until now
 * @param set the training set as the data have it
 */
export function learnedMeaning(before: Meaning, { kind, loss }: LearningTask, set: Dataset): Meaning {
  const classes = kind === 'classification' ? classNames(before, set) : undefined;
  const columns = set.columns ?? before.columns;
  const target = kind === 'autoencoding' ? undefined : set.target;
  const picture = pictureOf(set) ?? before.picture;
  const text = textOf(set) ?? before.text;
  return {
    task: kind,
    ...lossWord(loss),
    ...(classes && { classes }),
    ...(columns && { columns }),
    ...(target !== undefined && { target }),
    ...(picture && { picture }),
    ...(text && { text }),
    ...(set.heldOut && { heldOut: set.heldOut }),
  };
}

/** The word of a loss; a loss of one's own has none. */
function lossWord(loss: Loss): Meaning {
  if (!(lossNames as readonly string[]).includes(loss.name)) return {};
  return { loss: loss.name, ...(lossOf(loss.name) !== loss && { hasOwnLossOptions: true }) };
}

/** Numbers of classes are no names if the model has had some. */
function classNames({ classes: before }: Meaning, { classes }: Dataset): readonly string[] | undefined {
  if (!classes || classes.length === 0) return before;
  return before && areNumbersOf(classes, before) ? before : classes;
}

/** How the pictures of a set became numbers; undefined if they did not come from bytes. */
function pictureOf(set: Dataset): Meaning['picture'] {
  const { inputs, picture } = set;
  if (!picture || !isUnnamed(inputs) || !('scale' in inputs)) return undefined;
  const { channels, height, width, resized } = picture;
  return { channels, height, width, scale: inputs.scale, ...(resized && { resized }) };
}

function textOf({ vocabulary, inputs }: Dataset): Meaning['text'] {
  const [context] = isUnnamed(inputs) ? inputs.shape : [];
  return vocabulary && context !== undefined ? { vocabulary, context } : undefined;
}
