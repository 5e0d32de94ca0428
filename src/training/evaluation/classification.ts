// What a classifier does on the test set, in one pass: confusions, ROC curve, calibration, and the examples with the largest losses.
import { type Dataset, pictureInputs } from '../../data/dataset.js';
import type { RunRecord, WorstExample } from '../run-record.js';
import type { Predictions } from './evaluation.js';
import { Largest } from './largest.js';
import { inputPicture, mostPictures } from './pictures.js';
import { meanCurve, type RocCurve, ScoredClass } from './roc.js';
import { firstInputs, mostRows } from './rows.js';

/** A batch with what a classifier says of it. */
export interface Classified extends Pick<Predictions, 'indices' | 'batch'> {
  readonly labels: ArrayLike<number | bigint>;
  /** What ranks the classes, such as logits: `[rows, width]`. */
  readonly scores: ArrayLike<number | bigint>;
  /** `[rows, width]`; undefined for a loss without probabilities. */
  readonly probabilities: ArrayLike<number | bigint> | undefined;
  readonly width: number;
}

type Examined = Pick<RunRecord, 'confusion' | 'roc' | 'calibration' | 'worst'>;

/** Scores that are kept to rank them: of larger sets every n-th example is. */
const mostScores = 2_000_000;
const binCount = 10;

export async function examineClassifier(
  set: Dataset,
  classes: readonly string[],
  batches: AsyncIterable<Classified>,
): Promise<Examined> {
  const counts = classes.map(() => new Array<number>(classes.length).fill(0));
  const mistakes = new Largest<NonNullable<RunRecord['confusion']>['mistakes'][number]>(mostPictures);
  const worst = new Largest<WorstExample>(mostRows);
  const bins = Array.from({ length: binCount }, () => ({ count: 0, confidence: 0, accuracy: 0 }));
  const ranked = classes.length === 2 ? 1 : classes.length;
  const scored = Array.from({ length: ranked }, () => new ScoredClass());
  const every = Math.ceil((set.size * ranked) / mostScores);
  const arePictures = pictureInputs(set).length > 0;
  let rankedExamples = 0;
  for await (const { indices, batch, labels, probabilities, scores, width } of batches) {
    for (let row = 0; row < indices.length; row++) {
      const actual = Number(labels[row]);
      const at = row * width;
      const predicted = largest(scores, at, width);
      const line = counts[actual];
      if (!line) continue; // ignored by the loss
      if (predicted < line.length) line[predicted] = (line[predicted] ?? 0) + 1;
      const example = indices[row] ?? 0;
      const weight = Number(batch.weights?.data[row] ?? 1);
      const probability = probabilities && Number(probabilities[row * width + actual]);
      // Without probabilities, how far the score of the prediction is above that of the class.
      const loss =
        probability === undefined
          ? Number(scores[at + predicted]) - Number(scores[at + actual])
          : -Math.log(probability);
      const names = { actual: classes[actual] ?? '?', predicted: classes[predicted] ?? String(predicted) };
      if (predicted !== actual)
        mistakes.offer(loss, () => {
          const picture = inputPicture(set, batch, row);
          return picture && { picture, ...names, ...(probability !== undefined && { probability }) };
        });
      if (!arePictures)
        worst.offer(loss, () => ({
          ...{ example, loss, ...names },
          ...(probability !== undefined && { probability }),
          inputs: firstInputs(batch, row),
        }));
      if (!probabilities) continue;
      const confidence = Math.min(1, Number(probabilities[row * width + predicted]));
      const bin = bins[Math.max(0, Math.ceil(confidence * binCount) - 1)];
      if (bin) {
        bin.count += weight;
        bin.confidence += weight * confidence;
        bin.accuracy += predicted === actual ? weight : 0;
      }
      if (example % every !== 0) continue;
      rankedExamples += 1;
      for (const [k, each] of scored.entries()) {
        // The difference of two classes ranks as the probability does, and does not round to 1.
        if (ranked === 1) each.add(Number(scores[at + 1]) - Number(scores[at]), actual === 1, weight);
        else each.add(Number(probabilities[row * width + k]), actual === k, weight);
      }
    }
  }
  const curves = scored.map((each, k) => ({ name: classes[ranked === 1 ? 1 : k] ?? '?', curve: each.curve() }));
  const known = curves.flatMap(({ name, curve }) => (curve ? [{ name, curve }] : []));
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  return {
    confusion: { classes, counts, mistakes: mistakes.values },
    ...(!arePictures && worst.values.length > 0 && { worst: worst.values }),
    ...(known.length > 0 && { roc: rocOf(known, rankedExamples) }),
    ...(total > 0 && {
      calibration: {
        error: bins.reduce((sum, { confidence, accuracy }) => sum + Math.abs(accuracy - confidence), 0) / total,
        bins: bins.flatMap(({ count, confidence, accuracy }) =>
          count > 0 ? [{ count, confidence: confidence / count, accuracy: accuracy / count }] : [],
        ),
      },
    }),
  };
}

const rocOf = (
  known: readonly { readonly name: string; readonly curve: RocCurve }[],
  examples: number,
): NonNullable<RunRecord['roc']> => ({
  classes: known.map(({ name, curve }) => ({ name, area: curve.area })),
  points: meanCurve(known.map(({ curve }) => curve)),
  examples,
});

/** The position of the largest of `length` elements from `start`. */
function largest(elements: ArrayLike<number | bigint>, start: number, length: number): number {
  let best = 0;
  for (let i = 1; i < length; i++) if (Number(elements[start + i]) > Number(elements[start + best])) best = i;
  return best;
}
