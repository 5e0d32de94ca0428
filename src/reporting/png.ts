// PNG files from pictures: 8-bit grey or RGB, no filter, one data chunk (W3C, Portable Network Graphics, 3rd edition).

import { deflateSync } from 'node:zlib';
import { OptionError } from '../errors.js';
import { crc32 } from '../files/checksum.js';
import type { Picture } from '../training/run-record.js';

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const grey = 0;
const rgb = 2;

/**
 * Return a picture as the bytes of a PNG file. Values are clamped to [0, 1]; NaN, from a network that diverged, is black.
 * @throws OptionError if the pixels are not width × height × channels
 */
export function encodePng(picture: Picture): Uint8Array {
  const { width, height, channels, pixels } = picture;
  if (width < 1 || height < 1 || pixels.length !== width * height * channels) {
    throw new OptionError(
      `a picture of ${width} × ${height} with ${channels} channels needs ${width * height * channels} values (at least one), but has ${pixels.length}`,
    );
  }
  const header = new Uint8Array(13); // width, height, bit depth, colour type, compression, filter, interlace
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, channels === 1 ? grey : rgb], 8);
  const rowLength = width * channels;
  const rows = new Uint8Array(height * (1 + rowLength)); // each row after a byte that names its filter: 0, none
  for (let row = 0; row < height; row += 1) {
    for (let index = 0; index < rowLength; index += 1) {
      // Uint8Array turns NaN into 0.
      rows[row * (1 + rowLength) + 1 + index] = Math.round(255 * clamp(pixels[row * rowLength + index] ?? 0));
    }
  }
  const data = deflateSync(rows, { level: 9 });
  return concatenated([Uint8Array.from(signature), chunk('IHDR', header), chunk('IDAT', data), chunk('IEND')]);
}

/** Return a picture as a data URL. */
export function pictureUrl(picture: Picture): string {
  return `data:image/png;base64,${Buffer.from(encodePng(picture)).toString('base64')}`;
}

const clamp = (value: number): number => Math.min(1, Math.max(0, value));

/** Length, type, data, and a checksum of type and data. */
function chunk(type: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const body = concatenated([new TextEncoder().encode(type), data]);
  const bytes = new Uint8Array(4 + body.length + 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set(body, 4);
  view.setUint32(4 + body.length, crc32(body));
  return bytes;
}

function concatenated(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
