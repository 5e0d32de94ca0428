import { crc32, inflateSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { OptionError } from '../errors.js';
import { encodePng, pictureUrl } from './png.js';

/** The chunks of a PNG file, by its specification. */
function chunks(bytes: Uint8Array): { type: string; data: Uint8Array; crc: number; body: Uint8Array }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const found = [];
  for (let at = 8; at < bytes.length; ) {
    const length = view.getUint32(at);
    const body = bytes.subarray(at + 4, at + 8 + length);
    const type = new TextDecoder().decode(body.subarray(0, 4));
    found.push({ type, body, data: body.subarray(4), crc: view.getUint32(at + 8 + length) });
    at += 12 + length;
  }
  return found;
}

it('writes a grey picture, clamped, with NaN as black', () => {
  const pixels = Float32Array.of(0, 0.5, 1, -3, 7, Number.NaN);
  const bytes = encodePng({ width: 3, height: 2, channels: 1, pixels });
  expect([...bytes.subarray(0, 8)]).toEqual([137, 80, 78, 71, 13, 10, 26, 10]);
  const [header, data, end, ...more] = chunks(bytes);
  expect([header?.type, data?.type, end?.type, more.length]).toEqual(['IHDR', 'IDAT', 'IEND', 0]);
  expect([...(header?.data ?? [])]).toEqual([0, 0, 0, 3, 0, 0, 0, 2, 8, 0, 0, 0, 0]);
  expect([...inflateSync(data?.data ?? '')]).toEqual([0, 0, 128, 255, 0, 0, 255, 0]);
});

it('writes colours as RGB, a row after the other', () => {
  const pixels = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1);
  const [header, data] = chunks(encodePng({ width: 2, height: 2, channels: 3, pixels }));
  expect(header?.data[9]).toBe(2);
  expect([...inflateSync(data?.data ?? '')]).toEqual([0, 255, 0, 0, 0, 255, 0, 0, 0, 0, 255, 255, 255, 255]);
});

it.skipIf(typeof crc32 !== 'function')('has checksums that zlib agrees with', () => {
  const bytes = encodePng({ width: 1, height: 2, channels: 1, pixels: Float32Array.of(0.2, 0.9) });
  for (const { body, crc } of chunks(bytes)) expect(crc).toBe(crc32(body));
});

it('refuses pixels that do not fill the picture', () => {
  expect(() => encodePng({ width: 2, height: 2, channels: 1, pixels: new Float32Array(3) })).toThrow(OptionError);
  expect(() => encodePng({ width: 2, height: 2, channels: 3, pixels: new Float32Array(4) })).toThrow(
    /needs 12 values.*has 4/,
  );
});

it('carries a picture in a URL', () => {
  expect(pictureUrl({ width: 1, height: 1, channels: 1, pixels: Float32Array.of(1) })).toMatch(
    /^data:image\/png;base64,iVBORw0KGgo/,
  );
});
