// The model card of a run of the command line.
import { elementCount } from '../graph/tensor.js';
import { modelCard } from '../reporting/model-card.js';
import type { RunRecord } from '../training/run-record.js';
import { type Plan, standardizationLines } from './experiment.js';

/** Return the text of the card of a run. */
export function cardOf(
  plan: Plan,
  record: RunRecord,
  made: {
    readonly command: string;
    readonly environment: Readonly<Record<string, string>>;
    readonly warnings: readonly string[];
  },
): string {
  const { title, dataSpec, task, model, flags } = plan;
  const { train, test, validation } = task.data;
  return modelCard({
    ...{ title, data: dataSpec, kind: task.kind, model, record, loss: task.loss.name, seed: flags.seed },
    sizes: { train: train.size, test: test.size, ...(validation && { validation: validation.size }) },
    isOfPictures: train.picture !== undefined,
    ...(train.classes && { classes: train.classes }),
    parameters: [...model.parameters.values()].reduce((sum, { dims }) => sum + elementCount(dims), 0),
    notes: [...standardizationLines(plan), ...plan.warnings, ...made.warnings],
    command: made.command,
    environment: made.environment,
  });
}
