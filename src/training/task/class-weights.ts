// Weights of classes in a task: those of its training set, so that what is evaluated keeps its own mix of classes.
import { type ClassWeights, withClassWeights } from '../../data/class-weights.js';
import { OptionError } from '../../errors.js';
import type { LearningTask } from './task.js';

/**
 * Return the task with its training examples weighted by class; the same without weights.
 * @throws OptionError if the task is not to classify, and for classes that the set does not have
 */
export function weightedByClass<Task extends LearningTask>(task: Task, weights: ClassWeights | undefined): Task {
  if (weights === undefined) return task;
  const { train } = task.data;
  if (task.kind !== 'classification') {
    throw new OptionError(
      `class weights are for classes, and no labels of '${train.name}' are learned (${task.kind}); leave them out`,
    );
  }
  return { ...task, data: { ...task.data, train: withClassWeights(train, weights) } };
}
