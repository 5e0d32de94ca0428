// TensorBoard's events: what one says, as a message of its schemas (tensorboard/compat/proto/event.proto, summary.proto and
// tensorboard/plugins/hparams/plugin_data.proto). Scalars, histograms and pictures are in the form that all its readers know.
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { Picture } from '../../training/run-record.js';
import { encodePng } from '../png.js';
import type { Histogram } from './histogram.js';
import { bytes, double, doubles, encodeMessage, type Field, float, integer, message, text } from './message.js';

/** A value that is shown under a tag; tags of one prefix `prefix/…` are shown together. */
export interface Tagged {
  readonly tag: string;
  readonly value: Field;
  /** The plugin that shows it, if the kind of value does not tell. */
  readonly plugin?: { readonly name: string; readonly content: Uint8Array };
}

/** A hyper-parameter: a number, a text, or yes and no. */
export type HyperParameter = number | string | boolean;

/** Return the first event of a file. */
export const fileVersionEvent = (seconds: number): Uint8Array =>
  encodeMessage([double(1, seconds), text(3, 'brain.Event:2')]);

/** Return the event of a start from a step: what other files have of this step and later ones counts no more. */
export const sessionStartEvent = (seconds: number, step: number): Uint8Array =>
  encodeMessage([double(1, seconds), integer(2, step), message(7, [integer(1, sessionStart)])]);

const sessionStart = 1;

/** Return an event with the values of a step. */
export const summaryEvent = (seconds: number, step: number, values: readonly Tagged[]): Uint8Array =>
  encodeMessage([double(1, seconds), integer(2, step), message(5, values.map(summaryValue))]);

/** Return the event of a model's graph: `GraphDef`, encoded. */
export const graphEvent = (seconds: number, graph: Uint8Array): Uint8Array =>
  encodeMessage([double(1, seconds), bytes(4, graph)]);

const summaryValue = ({ tag, value, plugin }: Tagged): Field =>
  message(1, [
    text(1, tag),
    value,
    ...(plugin ? [message(9, [message(1, [text(1, plugin.name), bytes(2, plugin.content)])])] : []),
  ]);

export const scalar = (tag: string, value: number): Tagged => ({ tag, value: float(2, value) });

export const histogram = (tag: string, { min, max, count, sum, sumOfSquares, limits, counts }: Histogram): Tagged => ({
  tag,
  value: message(5, [
    ...[double(1, min), double(2, max), double(3, count), double(4, sum), double(5, sumOfSquares)],
    ...[doubles(6, limits), doubles(7, counts)],
  ]),
});

/** A picture as PNG. Colour spaces: 1 is grey, 3 is RGB. */
export const image = (tag: string, picture: Picture): Tagged => ({
  tag,
  value: message(4, [
    integer(1, picture.height),
    integer(2, picture.width),
    integer(3, picture.channels),
    bytes(4, encodePng(picture)),
  ]),
});

/** Return the value that names the hyper-parameters of a run. */
export const sessionStartInfo = (seconds: number, parameters: Readonly<Record<string, HyperParameter>>): Tagged => {
  const entries = Object.entries(parameters).map(([name, value]) =>
    message(1, [text(1, name), message(2, [protobufValue(value)])]),
  );
  return hyperParameters('_hparams_/session_start_info', message(3, [...entries, double(5, seconds)]));
};

/** How a run ended. */
const statuses = { success: 1, failure: 2 } as const;

export const sessionEndInfo = (seconds: number, status: keyof typeof statuses): Tagged =>
  hyperParameters('_hparams_/session_end_info', message(4, [integer(1, statuses[status]), double(2, seconds)]));

/** The plugin reads the content; the value is an empty tensor of float32, as TensorBoard writes it. */
const hyperParameters = (tag: string, content: Field): Tagged => ({
  tag,
  value: message(8, [integer(1, dtypeFloat), message(2, [message(2, [])])]),
  plugin: { name: 'hparams', content: encodeMessage([content]) },
});

const dtypeFloat = 1;

/** `google.protobuf.Value`. */
function protobufValue(value: HyperParameter): Field {
  if (typeof value === 'number') return double(2, value);
  if (typeof value === 'string') return text(3, value);
  return integer(4, Number(value));
}

/** Return the step of an event, 0 if it has none. @throws RangeError for bytes that are no message */
export function stepOf(event: Uint8Array): number {
  const reader = new BinaryReader(event);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (number === 2 && type === WireType.Varint) return Number(reader.int64());
    reader.skip(type, number);
  }
  return 0;
}
