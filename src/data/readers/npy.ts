// NumPy's .npy format (versions 1 to 3): a magic, a header in Python's literal syntax (type, order, shape), then the
// elements. Floats become float32, integers 32 bits; what does not fit is refused, never rounded.
import { FileError } from '../../errors.js';
import { halfToNumber } from '../../graph/half-floats.js';
import { elementCount } from '../../graph/tensor.js';

/** A dense array, last axis fastest. */
export interface NumberArray {
  readonly shape: readonly number[];
  /** Float32Array for a float type, Uint8Array for unsigned bytes, Int32Array for any other integer or boolean type. */
  readonly data: Float32Array | Int32Array | Uint8Array;
}

type Reader = (view: DataView, offset: number, littleEndian: boolean) => number | bigint;

/** How to read one element, by the kind and size of a NumPy type descriptor. */
const readers: Readonly<Record<string, Reader>> = {
  b1: (view, offset) => view.getUint8(offset),
  u1: (view, offset) => view.getUint8(offset),
  i1: (view, offset) => view.getInt8(offset),
  u2: (view, offset, little) => view.getUint16(offset, little),
  i2: (view, offset, little) => view.getInt16(offset, little),
  u4: (view, offset, little) => view.getUint32(offset, little),
  i4: (view, offset, little) => view.getInt32(offset, little),
  u8: (view, offset, little) => view.getBigUint64(offset, little),
  i8: (view, offset, little) => view.getBigInt64(offset, little),
  f2: (view, offset, little) => halfToNumber(view.getUint16(offset, little)),
  f4: (view, offset, little) => view.getFloat32(offset, little),
  f8: (view, offset, little) => view.getFloat64(offset, little),
};

/**
 * Parse the bytes of a .npy file; `path` is for messages.
 * @throws FileError for damage, types that are not numbers, Fortran order, and integers beyond 32 bits
 */
export function parseNpy(bytes: Uint8Array, path: string): NumberArray {
  const { descriptor, fortranOrder, shape, start } = parseHeader(bytes, path);
  const match = /^([<>|=])([biuf][1248])$/.exec(descriptor);
  const [, order = '', type = ''] = match ?? [];
  const read = Object.hasOwn(readers, type) ? readers[type] : undefined;
  if (match === null || read === undefined) {
    throw new FileError(
      `${path}: its elements are of NumPy type '${descriptor}', expected booleans, integers or floats of up to 8 bytes: convert it, e.g. array.astype('float32')`,
    );
  }
  if (fortranOrder && shape.filter((extent) => extent > 1).length > 1) {
    throw new FileError(
      `${path}: the array is in Fortran order, expected C order (last axis fastest): save numpy.ascontiguousarray(array)`,
    );
  }
  const width = Number(type[1]);
  const count = elementCount(shape);
  if (bytes.length - start !== count * width) {
    throw new FileError(
      `${path}: its header says shape [${shape}] of type '${descriptor}', so expected ${count * width} bytes of data, found ${bytes.length - start}: the file is damaged; write it again`,
    );
  }
  const body = bytes.subarray(start);
  if (type === 'u1') return { shape, data: body };
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const little = order !== '>';
  const data = type.startsWith('f') ? new Float32Array(count) : new Int32Array(count);
  for (let index = 0; index < count; index++) {
    const value = Number(read(view, index * width, little));
    data[index] = value;
    if (!type.startsWith('f') && data[index] !== value) {
      throw new FileError(
        `${path}: element ${index} is ${value}, expected integers within 32 bits (labels, tokens): convert other numbers with array.astype('float32')`,
      );
    }
  }
  return { shape, data };
}

interface Header {
  readonly descriptor: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** Offset of the elements in bytes. */
  readonly start: number;
}

function parseHeader(bytes: Uint8Array, path: string): Header {
  const magic = String.fromCharCode(...bytes.subarray(0, 6));
  if (magic !== '\x93NUMPY' || bytes.length < 10) {
    throw new FileError(
      `${path}: expected a NumPy array, whose first bytes are \\x93NUMPY, found ${JSON.stringify(magic)} and ${bytes.length} bytes in all: check that numpy.save wrote this file`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = bytes[6] ?? 0;
  const lengthBytes = version === 1 ? 2 : 4;
  if (version < 1 || version > 3 || bytes.length < 8 + lengthBytes) {
    throw new FileError(
      `${path}: expected format version 1, 2 or 3 of .npy, found ${version}: save it with a current NumPy`,
    );
  }
  const length = lengthBytes === 2 ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = 8 + lengthBytes + length;
  if (start > bytes.length) {
    throw new FileError(
      `${path}: its header takes ${start} bytes, found only ${bytes.length}: the file is truncated; write it again`,
    );
  }
  const text = new TextDecoder('latin1').decode(bytes.subarray(8 + lengthBytes, start));
  const descriptor =
    /['"]descr['"]\s*:\s*(['"])([^'"]*)\1/.exec(text)?.[2] ?? /['"]descr['"]\s*:\s*(\[[^\]]*\])/.exec(text)?.[1];
  const order = /['"]fortran_order['"]\s*:\s*(True|False)\b/.exec(text)?.[1];
  const axes = /['"]shape['"]\s*:\s*\(([\d\s,L]*)\)/.exec(text)?.[1];
  const shape = axes
    ?.split(',')
    .map((axis) => axis.replace('L', '').trim())
    .filter((axis) => axis !== '')
    .map(Number);
  if (descriptor === undefined || order === undefined || shape === undefined || !shape.every(Number.isSafeInteger)) {
    throw new FileError(
      `${path}: its header ${JSON.stringify(text.slice(0, 120))} cannot be read: expected descr, fortran_order and shape as NumPy writes them`,
    );
  }
  return { descriptor, fortranOrder: order === 'True', shape, start };
}
