// What a person reads in a model's first output: the class of an example with its probability, or named numbers.
import { FileError, GraphError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { elementCount, type TensorData } from '../graph/tensor.js';
import { lossNames, lossOf } from '../losses/index.js';
import type { Loss } from '../losses/loss.js';
import type { Meaning } from '../meaning.js';
import { targetTailOf } from '../model/edit/target-normalization.js';
import { meaningOf } from '../model/meaning.js';
import type { Model } from '../model/model.js';
import type { Builder } from '../ops/builder.js';

/** A class and how probable the model thinks it is. */
export interface ClassShare {
  readonly class: string;
  readonly probability: number;
}

/** The class of an example. */
export interface ClassPrediction extends ClassShare {
  readonly kind: 'class';
  /** The number of the example, from 0. */
  readonly index: number;
  /** The most probable classes, the predicted one first. */
  readonly top: readonly ClassShare[];
}

/** The class at each position of an example, such as the next character at each place of a text. */
export interface PositionsPrediction {
  readonly kind: 'positions';
  readonly index: number;
  readonly classes: readonly string[];
}

/** Named numbers of an example, such as a price. */
export interface NumbersPrediction {
  readonly kind: 'numbers';
  readonly index: number;
  readonly values: Readonly<Record<string, number | readonly number[]>>;
}

export type Prediction = ClassPrediction | PositionsPrediction | NumbersPrediction;

/** How to read a model's first output. */
export interface Readout {
  /** Return what is read from the output: probabilities with the classes on the last axis, or numbers in the units of the data. */
  expected(b: Builder, output: Value): Value;
  /** Return the predictions of the first examples of a batch. @param first the number of the first one */
  read(expected: TensorData, rows: number, first: number, top: number): Prediction[];
}

/** Return how to read a model's first output, by what its file says of it. @throws FileError if that does not fit the model */
export function readoutOf(model: Model): Readout {
  const meaning = meaningOf(model);
  return isClassifier(model, meaning) ? classReadout(model, meaning) : numbersReadout(model, meaning);
}

/** Whether the outputs are classes: by the file, or by the softmax at the end. */
const isClassifier = ({ graph }: Model, { task, classes }: Meaning): boolean =>
  task === undefined
    ? classes !== undefined || ['Softmax', 'LogSoftmax'].includes(graph.outputs[0]?.value.producer?.op ?? '')
    : task === 'classification';

/**
 * Return the loss that a model was trained with, as far as its file tells.
 * @throws FileError if this version does not have it
 */
export function lossIn(model: Model): Loss | undefined {
  const { loss } = meaningOf(model);
  if (loss === undefined) return undefined;
  if ((lossNames as readonly string[]).includes(loss)) return lossOf(loss);
  throw new FileError(
    `model '${model.name}' says that it was trained with the loss '${loss}', which this version of cgfac does not have: it has ${lossNames.join(', ')}`,
  );
}

function classReadout(model: Model, { classes }: Meaning): Readout {
  const told = lossIn(model);
  const loss = told?.targets === 'labels' ? told : lossOf('softmax-cross-entropy');
  const count = classes?.length;
  return {
    expected: (b, output) => {
      const [batch, second, ...more] = output.dims;
      const areSecond = more.length > 0 && count !== undefined && more.at(-1) !== count && second === count;
      const labels = areSecond ? [batch ?? 1, ...more] : undefined;
      const logits = loss.contained?.(b, output, labels) ?? output;
      return loss.expected?.(b, logits) ?? logits;
    },
    read: ({ dims, data }, rows, first, top) => {
      const width = dims.at(-1) ?? 1;
      if (count !== undefined && count > width) {
        throw new FileError(
          `the metadata of model '${model.name}' name ${count} classes, and its output has ${width}: train it again, or remove the entry 'cgfac.classes'`,
        );
      }
      const nameOf = (place: number) => classes?.[place] ?? String(place);
      const positions = elementCount(dims.slice(1, -1));
      return Array.from({ length: rows }, (_, row): Prediction => {
        const share = (position: number, place: number) => Number(data[(row * positions + position) * width + place]);
        const index = first + row;
        if (dims.length > 2) {
          const found = Array.from({ length: positions }, (_, position) => best(width, (i) => share(position, i)));
          return { kind: 'positions', index, classes: found.map(nameOf) };
        }
        const ordered = Array.from({ length: width }, (_, place) => ({ place, probability: share(0, place) }))
          .sort((a, b) => b.probability - a.probability || a.place - b.place)
          .map(({ place, probability }) => ({ class: nameOf(place), probability }));
        const [most = { class: '', probability: Number.NaN }] = ordered;
        return { kind: 'class', index, ...most, top: ordered.slice(0, top) };
      });
    },
  };
}

/** The first place with the largest number. */
function best(count: number, at: (place: number) => number): number {
  let most = 0;
  for (let place = 1; place < count; place++) if (at(place) > at(most)) most = place;
  return most;
}

function numbersReadout(model: Model, meaning: Meaning): Readout {
  const { columns, target, task, hasOwnLossOptions } = meaning;
  const loss = hasOwnLossOptions ? undefined : lossIn(model);
  const isTailed = targetTailOf(model) !== undefined;
  const name = target ?? model.graph.outputs[0]?.name ?? 'output';
  return {
    expected: (b, output) => {
      if (!loss || isTailed) return output;
      const before = loss.contained?.(b, output) ?? output;
      return loss.expected?.(b, before) ?? before;
    },
    read: ({ dims, data }, rows, first) => {
      const width = elementCount(dims.slice(1));
      const width0 = columns?.reduce((sum, { size }) => sum + size, 0);
      const parts = task === 'autoencoding' && columns && width0 === width ? columns : [{ name, size: width }];
      return Array.from({ length: rows }, (_, row): Prediction => {
        let start = row * width;
        const values = parts.map((part) => {
          const numbers = Array.from<number | bigint, number>(data.subarray(start, start + part.size), Number);
          start += part.size;
          return [part.name, part.size === 1 ? (numbers[0] ?? Number.NaN) : numbers] as const;
        });
        return { kind: 'numbers', index: first + row, values: Object.fromEntries(values) };
      });
    },
  };
}

/** @throws GraphError if the first axis of an output is not that of the examples */
export function checkRows(model: Model, { dims }: TensorData, rows: number): void {
  if (dims[0] === rows) return;
  throw new GraphError(
    `the first output of model '${model.name}' is [${dims.join(', ')}] for ${rows} examples: it has no prediction for each of them`,
  );
}
