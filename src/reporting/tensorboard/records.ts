// The frame of each event in a file: length, checksum of the length, event, checksum of the event (TensorFlow's TFRecord format,
// tensorflow/core/lib/io/record_writer.h). All numbers are little-endian; the checksums are CRC-32C, masked.
import { crc32c } from '../../files/checksum.js';

const headerLength = 12;
const footerLength = 4;

/** A checksum of bytes that hold checksums is weak: it is rotated right by 15 bits and a constant is added. */
function maskedChecksum(bytes: Uint8Array): number {
  const sum = crc32c(bytes);
  return (((sum >>> 15) | (sum << 17)) + 0xa282ead8) >>> 0;
}

/** Return a record with the frame around it. */
export function framed(record: Uint8Array): Uint8Array {
  const all = new Uint8Array(headerLength + record.length + footerLength);
  const view = new DataView(all.buffer);
  view.setBigUint64(0, BigInt(record.length), true);
  view.setUint32(8, maskedChecksum(all.subarray(0, 8)), true);
  all.set(record, headerLength);
  view.setUint32(headerLength + record.length, maskedChecksum(record), true);
  return all;
}

/** A record in a file, and the position behind its frame. */
export interface FoundRecord {
  readonly record: Uint8Array;
  readonly end: number;
}

/** Yield the records of a file, up to its end or to the first one that is torn or damaged. */
export function* records(file: Uint8Array): Generator<FoundRecord> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let start = 0; start + headerLength + footerLength <= file.length; ) {
    if (view.getUint32(start + 8, true) !== maskedChecksum(file.subarray(start, start + 8))) return;
    const length = Number(view.getBigUint64(start, true));
    const end = start + headerLength + length + footerLength;
    if (end > file.length) return;
    const record = file.subarray(start + headerLength, start + headerLength + length);
    if (view.getUint32(end - footerLength, true) !== maskedChecksum(record)) return;
    yield { record, end };
    start = end;
  }
}
