// The safetensors format (huggingface.co/docs/safetensors): the length of a header, the header in JSON, and the tensors' bytes
// without a gap. A reader believes no number of the header before it has checked it against the file.
import { open } from 'node:fs/promises';
import { FileError } from '../errors.js';
import { allocate, bytesPerElement, type DataType, elementCount, type TensorData } from '../graph/tensor.js';
import { isRecord } from '../options.js';
import { advice } from './write.js';

export interface Safetensors {
  /** Texts by name. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Readonly<Record<string, TensorData>>;
}

/** Names of the element types in the format. */
const typeNames: Readonly<Record<DataType, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
};
const dataTypes = new Map(Object.entries(typeNames).map(([dtype, name]) => [name, dtype as DataType]));

/** The key of the texts among the tensors' names. */
const metadataKey = '__metadata__';
/** The format's own limit of a header. */
const mostHeaderBytes = 100_000_000;
/** Bytes of the header's length. */
const lengthBytes = 8;

/**
 * Return the parts of a file, one after another; the tensors are not copied. Those of larger elements come first, so that each can
 * be read in place; those of equal sizes are in the given order.
 * @throws FileError if the header is larger than the format allows
 */
export function safetensorsParts({ metadata, tensors }: Safetensors): Uint8Array[] {
  const ordered = Object.entries(tensors).sort(([, a], [, b]) => bytesPerElement(b.dtype) - bytesPerElement(a.dtype));
  let end = 0;
  const entries = ordered.map(([name, { dtype, dims, data }]) => {
    if (name === metadataKey) throw new FileError(`no tensor may have the name '${name}' in a safetensors file`);
    const begin = end;
    end += data.byteLength;
    return [name, { dtype: typeNames[dtype], shape: dims, data_offsets: [begin, end] }] as const;
  });
  const json = Buffer.from(JSON.stringify({ [metadataKey]: metadata, ...Object.fromEntries(entries) }));
  // Spaces at its end let the tensors begin at a multiple of 8.
  const header = Buffer.alloc(lengthBytes * Math.ceil(json.length / lengthBytes), ' ');
  header.set(json);
  if (header.length > mostHeaderBytes) {
    throw new FileError(`the header has ${header.length} bytes, and safetensors files allow ${mostHeaderBytes}`);
  }
  const length = Buffer.alloc(lengthBytes);
  length.writeBigUInt64LE(BigInt(header.length));
  return [length, header, ...ordered.map(([, { data }]) => bytesOf(data))];
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/**
 * Read a file. `see` gets its bytes, part by part in their order.
 * @throws FileError with the path if it cannot be read or is not of the format
 */
export async function readSafetensors(path: string, see?: (part: Uint8Array) => void): Promise<Safetensors> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new FileError(`cannot read '${path}': ${advice(cause)}`, { cause });
  });
  try {
    const { size } = await file.stat();
    const fill = async (bytes: Uint8Array) => {
      for (let read = 0; read < bytes.length; ) {
        const { bytesRead } = await file.read(bytes, read, bytes.length - read);
        if (bytesRead === 0) throw wrong('ends early');
        read += bytesRead;
      }
      see?.(bytes);
    };
    const header = await readHeader(size, fill);
    const tensors: [string, TensorData][] = [];
    for (const { name, dtype, dims } of header.entries) {
      const data = allocate(dtype, elementCount(dims));
      await fill(bytesOf(data));
      tensors.push([name, { dtype, dims, data }]);
    }
    return { metadata: header.metadata, tensors: Object.fromEntries(tensors) };
  } catch (cause) {
    if (cause instanceof FileError) throw new FileError(`'${path}' ${cause.message}`, { cause });
    throw new FileError(`cannot read '${path}': ${advice(cause)}`, { cause });
  } finally {
    await file.close();
  }
}

interface Entry {
  readonly name: string;
  readonly dtype: DataType;
  readonly dims: readonly number[];
  readonly begin: number;
  readonly end: number;
}

interface Header {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of the file. */
  readonly entries: readonly Entry[];
}

/** Read the header of a file of `size` bytes, and check that its tensors cover the rest of the file without a gap or an overlap. */
async function readHeader(size: number, fill: (bytes: Uint8Array) => Promise<void>): Promise<Header> {
  if (size < lengthBytes + 2) throw wrong(`has only ${size} bytes`);
  const prefix = Buffer.alloc(lengthBytes);
  await fill(prefix);
  const length = prefix.readBigUInt64LE();
  if (length > BigInt(Math.min(mostHeaderBytes, size - lengthBytes))) {
    throw wrong(`claims a header of ${length} bytes, and has ${size - lengthBytes} after its length`);
  }
  const bytes = Buffer.alloc(Number(length));
  await fill(bytes);
  const { [metadataKey]: metadata = {}, ...tensors } = parsed(bytes);
  if (!isRecord(metadata) || !Object.values(metadata).every((text) => typeof text === 'string')) {
    throw wrong('has metadata that are not texts');
  }
  const entries = Object.entries(tensors).map(([name, entry]) => checkedEntry(name, entry));
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let end = 0;
  for (const entry of entries) {
    if (entry.begin !== end) throw wrong(`has tensors that overlap or leave a gap, at '${entry.name}'`);
    end = entry.end;
  }
  const held = size - lengthBytes - bytes.length;
  if (end !== held) throw wrong(`claims ${end} bytes of tensors, and has ${held}`);
  return { metadata: metadata as Record<string, string>, entries };
}

function parsed(bytes: Uint8Array): Record<string, unknown> {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    if (text.startsWith('{') && isRecord(value)) return value;
  } catch {
    // Said below.
  }
  throw wrong('has a header that is no JSON object');
}

function checkedEntry(name: string, entry: unknown): Entry {
  const { dtype: typeName, shape, data_offsets: offsets } = isRecord(entry) ? entry : {};
  const dtype = typeof typeName === 'string' ? dataTypes.get(typeName) : undefined;
  if (dtype === undefined) throw wrong(`gives '${name}' an element type that it does not know`);
  if (!areSizes(shape)) throw wrong(`gives '${name}' a shape that is none`);
  if (!areSizes(offsets) || offsets.length !== 2) throw wrong(`gives '${name}' offsets that are none`);
  const [begin = 0, end = 0] = offsets;
  const bytes = elementCount(shape) * bytesPerElement(dtype);
  if (end - begin !== bytes) throw wrong(`gives '${name}' of ${bytes} bytes the offsets ${begin} to ${end}`);
  return { name, dtype, dims: shape, begin, end };
}

const areSizes = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);

/** What is wrong with a file, after its path. */
const wrong = (what: string): FileError => new FileError(`is no whole safetensors file: it ${what}`);
