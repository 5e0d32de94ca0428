// What a reader of a run's results should know before the numbers.
import type { RunRecord } from '../reporting/run-record.js';

/**
 * The first loss is one batch's, and the last that of the whole set: so much above is not told from chance. A run of a few
 * steps has moved little, and its first batch may have been an easy one.
 */
const batchNoise = (steps: number): number => (steps < fewSteps ? 1 : 0.1);
const fewSteps = 10;

/**
 * Sentences about a run that ended and should not pass for a success.
 * @param remedy what to change about its optimizer, to begin a sentence
 */
export function warningsOf({ steps, train }: RunRecord, remedy: string | undefined): string[] {
  const first = steps[0]?.loss;
  if (first === undefined || !(train.loss > (1 + batchNoise(steps.length)) * first)) return [];
  return [
    `The training loss is ${rounded(train.loss)} after ${steps.length} ${steps.length === 1 ? 'step' : 'steps'}, above the ${rounded(first)} of the first batch before ` +
      `training: the model has become no better. ${remedy ?? 'Take shorter steps'}, or look at the data (cgfac data).`,
  ];
}

const rounded = (x: number): number => Number(x.toPrecision(3));
