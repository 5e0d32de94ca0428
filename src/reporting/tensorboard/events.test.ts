import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { decodeEvent, decodeMessage, rawEvents } from '../../../test/support/event-files.js';
import { crc32c } from '../../files/checksum.js';
import {
  fileVersionEvent,
  histogram,
  image,
  scalar,
  sessionEndInfo,
  sessionStartEvent,
  sessionStartInfo,
  stepOf,
  summaryEvent,
} from './events.js';
import { histogramOf } from './histogram.js';
import { framed, records } from './records.js';

const reference = readFileSync('test/fixtures/tensorboard/reference.tfevents');

/** The events of the file that TensorBoard's own writer wrote. */
const same = [
  fileVersionEvent(1700000000.25),
  summaryEvent(1700000001.5, 1, [scalar('loss/batch', 2.5), scalar('optimizer/damping', 0.125)]),
  summaryEvent(1700000002, 300, [
    histogram('weights/fc1.weight', {
      ...{ min: -1, max: 2, count: 4, sum: 2, sumOfSquares: 6 },
      ...{ limits: [0.5, 2], counts: [1, 3] },
    }),
  ]),
  sessionStartEvent(1700000003, 301),
  summaryEvent(1700000004, 0, [sessionStartInfo(1700000000.25, { rank: 64 })]),
];

it('computes the checksums that RFC 3720 gives as examples', () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283);
});

it("says what the events of TensorBoard's own writer say", () => {
  expect(same.map(decodeEvent)).toEqual(rawEvents(reference).map(decodeEvent));
});

it("frames records byte by byte as TensorBoard's own writer does", () => {
  const raw = rawEvents(reference);
  expect(Buffer.concat(raw.map(framed))).toEqual(reference);
  const found = [...records(reference)];
  expect(found.map(({ record }) => Buffer.from(record))).toEqual(raw);
  expect(found.at(-1)?.end).toBe(reference.length);
  expect(raw.map(stepOf)).toEqual([0, 1, 300, 301, 0]);
});

it('ends at a record that is torn, at each byte, and at one with a bit flipped', () => {
  const ends = [0, ...[...records(reference)].map(({ end }) => end)];
  for (let length = 0; length <= reference.length; length++) {
    const whole = ends.filter((end) => end > 0 && end <= length).length;
    expect([...records(reference.subarray(0, length))]).toHaveLength(whole);
  }
  for (const [index, start] of ends.slice(0, -1).entries()) {
    for (const at of [start, start + 9, start + 12, (ends[index + 1] ?? 0) - 1]) {
      const flipped = Buffer.from(reference);
      flipped.writeUInt8(flipped.readUInt8(at) ^ 4, at);
      expect([...records(flipped)], `byte ${at}`).toHaveLength(index);
    }
  }
});

it('writes numbers that are not finite, and those beyond float32 as infinite', () => {
  const values = [Number.NaN, Number.POSITIVE_INFINITY, 1e300, 0, -0.5].map((value) => scalar('x', value));
  const { summary } = decodeEvent(summaryEvent(1, 2 ** 40, values));
  expect(summary?.value.map((value) => value.simple_value)).toEqual(['NaN', 'Infinity', 'Infinity', 0, -0.5]);
});

it('writes pictures as PNG with their size', () => {
  const picture = { width: 2, height: 1, channels: 3, pixels: Float32Array.of(1, 0, 0, 0, 0, 1) } as const;
  const { summary } = decodeEvent(summaryEvent(1, 1, [image('pictures/0', picture)]));
  const { height, width, colorspace, encoded_image_string: png } = summary?.value[0]?.image ?? {};
  expect([height, width, colorspace]).toEqual([1, 2, 3]);
  expect(Buffer.from(String(png), 'base64').subarray(1, 4).toString()).toBe('PNG');
});

it('writes hyper-parameters of each kind, and how the run ended', () => {
  const values = [sessionStartInfo(5, { rank: 64, optimizer: 'cgfac', normalize: true }), sessionEndInfo(9, 'success')];
  const { summary } = decodeEvent(summaryEvent(1, 0, values));
  const contents = (summary?.value ?? []).map(({ metadata }) => {
    expect(metadata?.plugin_data.plugin_name).toBe('hparams');
    const content = Buffer.from(metadata?.plugin_data.content ?? '', 'base64');
    return decodeMessage('tensorboard.hparams.HParamsPluginData', content);
  });
  expect(contents).toEqual([
    { session_start_info: { hparams: { rank: 64, optimizer: 'cgfac', normalize: true }, start_time_secs: 5 } },
    { session_end_info: { status: 'STATUS_SUCCESS', end_time_secs: 9 } },
  ]);
});

it('counts each finite element in one bucket', () => {
  const made = histogramOf(Float32Array.of(0, 30, 29.5, 1, 1.5, Number.NaN, Number.NEGATIVE_INFINITY));
  expect(made).toMatchObject({ min: 0, max: 30, count: 5, sum: 62, sumOfSquares: 900 + 29.5 ** 2 + 1 + 2.25 });
  expect(made?.limits).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  expect(made?.counts).toEqual([1, 2, ...new Array(27).fill(0), 2]);
  expect(histogramOf([3n, 3n])).toMatchObject({ min: 3, max: 3, count: 2, limits: [3], counts: [2] });
  expect(histogramOf([1, 1 + Number.EPSILON])).toMatchObject({ count: 2, counts: [2] });
  expect(histogramOf([Number.NaN])).toBeUndefined();
  expect(histogramOf([])).toBeUndefined();
});
