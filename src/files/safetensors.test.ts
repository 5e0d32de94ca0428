import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FileError } from '../errors.js';
import type { TensorData } from '../graph/tensor.js';
import { readSafetensors, type Safetensors, safetensorsParts } from './safetensors.js';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cgfac-safetensors-'));
  path = join(folder, 'tensors.safetensors');
});
afterEach(() => rm(folder, { recursive: true }));

/** A file as its format is described: the header's length in 8 bytes, the lowest first; the header; the tensors. */
function byHand(header: string | object, data: readonly number[] = [], length?: bigint): Buffer {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([prefix, text, Buffer.from(data)]);
}

async function read(bytes: Uint8Array): Promise<Safetensors> {
  await writeFile(path, bytes);
  return readSafetensors(path);
}

const everyType: Record<string, TensorData> = {
  u8: { dtype: 'uint8', dims: [3], data: Uint8Array.of(1, 2, 255) },
  f32: { dtype: 'float32', dims: [2, 1], data: Float32Array.of(-0, Number.NaN) },
  f64: { dtype: 'float64', dims: [], data: Float64Array.of(Number.MIN_VALUE) },
  f16: { dtype: 'float16', dims: [1], data: Uint16Array.of(0x3c00) },
  bf16: { dtype: 'bfloat16', dims: [1], data: Uint16Array.of(0x3f80) },
  i8: { dtype: 'int8', dims: [1], data: Int8Array.of(-128) },
  i16: { dtype: 'int16', dims: [1], data: Int16Array.of(-2) },
  i32: { dtype: 'int32', dims: [1], data: Int32Array.of(-3) },
  i64: { dtype: 'int64', dims: [2], data: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n) },
  u16: { dtype: 'uint16', dims: [1], data: Uint16Array.of(65535) },
  u32: { dtype: 'uint32', dims: [1], data: Uint32Array.of(2 ** 32 - 1) },
  u64: { dtype: 'uint64', dims: [1], data: BigUint64Array.of(2n ** 64n - 1n) },
  bool: { dtype: 'bool', dims: [2], data: Uint8Array.of(1, 0) },
  none: { dtype: 'float32', dims: [0, 7], data: new Float32Array() },
};

it('reads a file that follows the description of the format', async () => {
  const header = {
    late: { dtype: 'I16', shape: [2, 1], data_offsets: [5, 9] },
    __metadata__: { format: 'pt' },
    early: { dtype: 'F32', shape: [], data_offsets: [0, 4] },
    flag: { dtype: 'BOOL', shape: [1], data_offsets: [4, 5] },
  };
  expect(await read(byHand(`${JSON.stringify(header)}   `, [0, 0, 128, 63, 1, 255, 255, 2, 1]))).toStrictEqual({
    metadata: { format: 'pt' },
    tensors: {
      early: { dtype: 'float32', dims: [], data: Float32Array.of(1) },
      flag: { dtype: 'bool', dims: [1], data: Uint8Array.of(1) },
      late: { dtype: 'int16', dims: [2, 1], data: Int16Array.of(-1, 258) },
    },
  });
  expect(await read(byHand({}))).toStrictEqual({ metadata: {}, tensors: {} });
});

it('writes every element type, each at a multiple of its size, without a gap', async () => {
  const parts = safetensorsParts({ metadata: { a: 'größer' }, tensors: everyType });
  const bytes = Buffer.concat(parts);
  const length = Number(bytes.readBigUInt64LE());
  const { __metadata__: metadata, ...entries } = JSON.parse(bytes.subarray(8, 8 + length).toString('utf8'));
  expect(metadata).toEqual({ a: 'größer' });
  expect(Object.keys(entries).sort()).toEqual(Object.keys(everyType).sort());
  let end = 0;
  for (const [name, { data_offsets: offsets }] of Object.entries<{ data_offsets: [number, number] }>(entries)) {
    expect(offsets[0]).toBe(end);
    end = offsets[1];
    const { data } = everyType[name] as TensorData;
    expect((8 + length + offsets[0]) % data.BYTES_PER_ELEMENT).toBe(0);
    const held = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    expect(bytes.subarray(8 + length + offsets[0], 8 + length + end)).toEqual(Buffer.from(held));
  }
  expect(bytes.length).toBe(8 + length + end);
  expect(await read(bytes)).toStrictEqual({ metadata: { a: 'größer' }, tensors: everyType });
});

it('refuses a name that the format has for itself', () => {
  const own = { __metadata__: everyType.u8 as TensorData };
  expect(() => safetensorsParts({ metadata: {}, tensors: { ...own, last: everyType.u8 as TensorData } })).toThrow(
    /no tensor may have the name '__metadata__'/,
  );
});

const entry = (dtype: unknown, shape: unknown, offsets: unknown) => ({ dtype, shape, data_offsets: offsets });
it.each([
  ['nothing', Buffer.alloc(0), /has only 0 bytes/],
  ['a header beyond the file', byHand('{}', [], 3n), /claims a header of 3 bytes, and has 2/],
  ['a header of 2⁶⁴ − 1 bytes', byHand('{}', [], 2n ** 64n - 1n), /claims a header of 18446744073709551615/],
  ['a header that is no JSON', byHand('{"a'), /no JSON object/],
  ['a header that is no UTF-8', byHand('{"\xff":1}'.replace('\xff', '')).fill(0xff, 10, 11), /no JSON object/],
  ['a header that is a list', byHand('[1]'), /no JSON object/],
  ['a header that begins with a space', byHand(' {}'), /no JSON object/],
  ['metadata that are numbers', byHand({ __metadata__: { a: 1 } }), /metadata that are not texts/],
  ['an unknown type', byHand({ a: entry('F8', [1], [0, 1]) }, [1]), /'a' an element type that it does not know/],
  ['no entry', byHand({ a: 7 }), /'a' an element type that it does not know/],
  ['a shape below zero', byHand({ a: entry('U8', [-1], [0, 1]) }, [1]), /'a' a shape that is none/],
  ['a shape that is no list', byHand({ a: entry('U8', 1, [0, 1]) }, [1]), /'a' a shape that is none/],
  ['a huge shape', byHand({ a: entry('U8', [2 ** 50, 2 ** 50], [0, 1]) }, [1]), /'a' of \S+ bytes the offsets 0 to 1/],
  ['an infinite product', byHand({ a: entry('U8', [...Array(30).fill(2 ** 50), 0], [0, 0]) }), /the offsets 0 to 0/],
  ['offsets that are none', byHand({ a: entry('U8', [1], [0]) }, [1]), /'a' offsets that are none/],
  ['offsets backwards', byHand({ a: entry('U8', [1], [1, 0]) }, [1]), /the offsets 1 to 0/],
  ['offsets beyond 2⁵³', byHand({ a: entry('U8', [1], [0, 2 ** 60]) }, [1]), /'a' offsets that are none/],
  [
    'an overlap',
    byHand({ a: entry('U8', [2], [0, 2]), b: entry('U8', [2], [1, 3]) }, [1, 2, 3]),
    /overlap or leave a gap, at 'b'/,
  ],
  ['a gap', byHand({ a: entry('U8', [1], [1, 2]) }, [1, 2]), /overlap or leave a gap, at 'a'/],
  ['bytes of no tensor', byHand({ a: entry('U8', [1], [0, 1]) }, [1, 2]), /claims 1 bytes of tensors, and has 2/],
  ['tensors beyond the file', byHand({ a: entry('U8', [9], [0, 9]) }, [1, 2]), /claims 9 bytes of tensors, and has 2/],
])('refuses %s', async (_, bytes, message) => {
  await expect(read(bytes)).rejects.toThrow(FileError);
  await expect(read(bytes)).rejects.toThrow(message);
  await expect(read(bytes)).rejects.toThrow(`'${path}' is no whole safetensors file`);
});

it('names what it cannot open', async () => {
  await expect(readSafetensors(join(folder, 'none'))).rejects.toThrow(/cannot read '.*none'/);
  await expect(readSafetensors(folder)).rejects.toThrow(FileError);
});

it('reads or refuses whatever a file holds', async () => {
  const whole = Buffer.concat(safetensorsParts({ metadata: { a: 'b' }, tensors: everyType }));
  const change = fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) });
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(whole.length), async (changes, size) => {
      const bytes = Buffer.from(whole);
      for (const { at, byte } of changes) bytes[at] = byte;
      const outcome = await read(size % 3 === 0 ? bytes.subarray(0, size) : bytes).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(FileError);
    }),
  );
});
