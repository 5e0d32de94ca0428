// Walks Thrift's compact protocol without decoding it, so that hyparquet decodes only what it can hold: it allocates a list by
// the length that the list claims, 256 MiB on the word of five bytes.

/** Structs and lists within each other; a Parquet footer has fewer. */
const mostLevels = 16;

/**
 * Check the struct at `offset`, and return the offset behind it.
 * @throws Error if it does not end before `end`, if a list claims more elements than there are bytes, or if it is nested too deeply
 */
export function endOfStruct(bytes: Uint8Array, offset: number, end: number, level = 0): number {
  if (level > mostLevels) throw new Error('its structure is nested too deeply');
  for (let position = offset; ; ) {
    const head = byteAt(bytes, position++, end);
    const kind = head & 0x0f;
    if (kind === 0) return position;
    // The number of the field, if it is not given as a difference.
    if (head >> 4 === 0) position = readVarint(bytes, position, end).end;
    if (kind > 2) position = endOfValue(bytes, position, end, kind, level); // 1 and 2 are true and false
  }
}

function endOfValue(bytes: Uint8Array, offset: number, end: number, kind: number, level: number): number {
  switch (kind) {
    case 3:
      return offset + 1;
    case 4:
    case 5:
      return readVarint(bytes, offset, end).end;
    case 6: {
      let position = offset;
      while (byteAt(bytes, position++, end) & 0x80);
      return position;
    }
    case 7:
      return offset + 8;
    case 8: {
      const length = readVarint(bytes, offset, end);
      if (length.value > end - length.end) throw new Error(`a text of ${length.value} bytes is cut off`);
      return length.end + length.value;
    }
    case 9:
      return endOfList(bytes, offset, end, level + 1);
    case 12:
      return endOfStruct(bytes, offset, end, level + 1);
    default:
      throw new Error(`a field is of the unknown kind ${kind}`);
  }
}

function endOfList(bytes: Uint8Array, offset: number, end: number, level: number): number {
  if (level > mostLevels) throw new Error('its structure is nested too deeply');
  const head = byteAt(bytes, offset, end);
  const short = { value: head >> 4, end: offset + 1 };
  const length = short.value === 15 ? readVarint(bytes, offset + 1, end) : short;
  if (length.value > end - length.end)
    throw new Error(`a list claims ${length.value} elements, more than there are bytes`);
  const kind = Math.max(3, head & 0x0f); // flags in a list are bytes
  let position = length.end;
  for (let element = 0; element < length.value; element++) position = endOfValue(bytes, position, end, kind, level);
  return position;
}

/** An unsigned number in groups of seven bits, of 32 bits at most. */
export function readVarint(bytes: Uint8Array, offset: number, end: number): { value: number; end: number } {
  let [value, position] = [0, offset];
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = byteAt(bytes, position++, end);
    value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) === 0) return { value: value >>> 0, end: position };
  }
  throw new Error('a number is too long');
}

function byteAt(bytes: Uint8Array, offset: number, end: number): number {
  const byte = offset < end ? bytes[offset] : undefined;
  if (byte === undefined) throw new Error('it is truncated');
  return byte;
}
