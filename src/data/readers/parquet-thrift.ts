// The little of Thrift's compact protocol that Parquet page headers use: structs of numbers, flags, byte strings and
// structs. Nothing is allocated but the fields met.

/** A struct read from bytes; `end` is where the next thing begins. A field of another kind reads as not there. */
export interface CompactStruct {
  readonly end: number;
  /** NaN where it is not there. */
  number(field: number): number;
  flag(field: number): boolean | undefined;
  /** Throws Error where it is not there. */
  struct(field: number): CompactStruct;
}

type Value = number | boolean | CompactStruct | undefined;

/** Structs within structs that a page header has at most. */
const DEEPEST = 8;

/** Reads the struct at `offset`; throws Error where it does not end before `end`. */
export function compactStruct(bytes: Uint8Array, offset: number, end: number, depth = 0): CompactStruct {
  if (depth > DEEPEST) throw new Error('a page header is nested too deeply');
  const fields = new Map<number, Value>();
  let [position, field] = [offset, 0];
  for (;;) {
    const head = byteAt(bytes, position++, end);
    if (head === 0) break;
    const kind = head & 0x0f;
    if (head >> 4 === 0) {
      const number = readVarint(bytes, position, end);
      [field, position] = [unzigzag(number.value), number.end];
    } else {
      field += head >> 4;
    }
    const read = compactValue(bytes, position, end, kind, depth);
    fields.set(field, read.value);
    position = read.end;
  }
  return {
    end: position,
    number: (id) => {
      const value = fields.get(id);
      return typeof value === 'number' ? value : Number.NaN;
    },
    flag: (id) => {
      const value = fields.get(id);
      return typeof value === 'boolean' ? value : undefined;
    },
    struct: (id) => {
      const value = fields.get(id);
      if (typeof value !== 'object') throw new Error(`a page header has no field ${id}`);
      return value;
    },
  };
}

function compactValue(
  bytes: Uint8Array,
  offset: number,
  end: number,
  kind: number,
  depth: number,
): { value: Value; end: number } {
  switch (kind) {
    case 1:
    case 2:
      return { value: kind === 1, end: offset };
    case 3:
      return { value: byteAt(bytes, offset, end), end: offset + 1 };
    case 4:
    case 5: {
      const read = readVarint(bytes, offset, end);
      return { value: unzigzag(read.value), end: read.end };
    }
    case 6: {
      // 64-bit counts occur only in statistics, which are not looked at.
      let position = offset;
      while (byteAt(bytes, position++, end) & 0x80);
      return { value: undefined, end: position };
    }
    case 8: {
      const length = readVarint(bytes, offset, end);
      if (length.end + length.value > end) throw new Error('a page header is truncated');
      return { value: undefined, end: length.end + length.value };
    }
    case 12: {
      const value = compactStruct(bytes, offset, end, depth + 1);
      return { value, end: value.end };
    }
    default:
      throw new Error(`a page header has a field of unexpected kind ${kind}`);
  }
}

/** An unsigned number in groups of seven bits, of 32 bits at most. */
export function readVarint(bytes: Uint8Array, offset: number, end: number): { value: number; end: number } {
  let [value, position] = [0, offset];
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = byteAt(bytes, position++, end);
    value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) === 0) return { value: value >>> 0, end: position };
  }
  throw new Error('a number in a page is too long');
}

function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1);
}

function byteAt(bytes: Uint8Array, offset: number, end: number): number {
  const byte = offset < end ? bytes[offset] : undefined;
  if (byte === undefined) throw new Error('a page is truncated');
  return byte;
}
