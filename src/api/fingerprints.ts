// Fingerprints of the data and the model of a run.
import { type DataSplits, exampleStride } from '../data/dataset.js';
import type { Json } from '../exact-json.js';
import { Fingerprint } from '../files/fingerprint.js';
import { constantsOf } from '../graph/graph.js';
import { listInputs } from '../graph/inputs.js';
import { printGraph } from '../graph/print.js';
import type { Model } from '../model/model.js';
import { isRecord } from '../options.js';

/** Return the fingerprint of all that is read of data sets: their examples in their order, and the names of the classes. */
export function dataFingerprint({ train, test, validation }: DataSplits): string {
  const fingerprint = new Fingerprint();
  for (const { size, inputs, targets, weights, classes = [], picture } of [
    train,
    test,
    ...(validation ? [validation] : []),
  ]) {
    const columns = [
      ...listInputs(inputs),
      ['targets', targets] as const,
      ...(weights ? [['weights', weights] as const] : []),
    ];
    fingerprint.text(JSON.stringify({ size, classes, picture }));
    for (const [name, column] of columns) {
      const { dtype, shape } = column;
      const scale = 'scale' in column ? column.scale : 1;
      fingerprint.text(JSON.stringify({ name, dtype, shape, stride: exampleStride(column), scale })).bytes(column.data);
    }
  }
  return fingerprint.sum();
}

/** Return the fingerprint of a model: its graph, and all numbers in it. */
export function modelFingerprint({ graph, parameters, statistics }: Model): string {
  const fingerprint = new Fingerprint().text(printGraph(graph));
  fingerprint.text(JSON.stringify([[...parameters.keys()], [...statistics.keys()]]));
  for (const { constant } of constantsOf(graph)) if (constant) fingerprint.bytes(constant.data);
  return fingerprint.sum();
}

/**
 * Return options as JSON: plain values as they are, and objects that were made by functions by their names.
 * @param left names of options that say nothing about the numbers of a run
 */
export function optionWords(options: object, left: ReadonlySet<string>): Record<string, Json> {
  const entries = Object.entries(options).filter(([key, value]) => value !== undefined && !left.has(key));
  return Object.fromEntries(entries.map(([key, value]) => [key, wordOf(value)]));
}

function wordOf(value: unknown): Json {
  if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) return value as Json;
  if (Array.isArray(value)) return value.map(wordOf);
  if (ArrayBuffer.isView(value)) return new Fingerprint().bytes(value).sum();
  if (!isRecord(value)) return typeof value;
  return typeof value.name === 'string' ? value.name : optionWords(value, new Set());
}
