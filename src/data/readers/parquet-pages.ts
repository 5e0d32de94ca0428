// Walks the pages of a Parquet file before they are decoded, so that damage is told instead of obeyed: page sizes, value
// counts and run lengths must fit the file. (hyparquet believes them, and a run may claim two thousand million values.)
import { gunzipSync } from 'node:zlib';
import { type FileMetaData, parquetSchema, type SchemaTree, snappyUncompress } from 'hyparquet';
import { type CompactStruct, compactStruct, readVarint } from './parquet-thrift.js';

type ColumnMeta = NonNullable<FileMetaData['row_groups'][number]['columns'][number]['meta_data']>;

/** Cells that a table may have in memory. */
const MOST_VALUES = 2 ** 27;
/** What a codec can pack at best: Snappy 64 bytes in 3, deflate 1032 to 1. */
const MOST_PACKED: Readonly<Record<string, number>> = { UNCOMPRESSED: 1, SNAPPY: 32, GZIP: 1032 };

const DATA_PAGE = 0;
const DICTIONARY_PAGE = 2;
const DATA_PAGE_V2 = 3;
/** Encoding numbers of the Parquet format. */
const DICTIONARY_ENCODINGS = [2, 8];
const DELTA_ENCODINGS = [5, 6];
const SAFE_ENCODINGS = [0, 9];

/** Throws Error (to be told with the file's name) where a page's claims cannot be true. */
export function checkPages(bytes: Uint8Array, metadata: FileMetaData): void {
  const schema = parquetSchema(metadata);
  let total = 0;
  for (const { columns, num_rows: rows } of metadata.row_groups) {
    for (const { meta_data: meta } of columns) {
      if (meta === undefined) throw new Error('a column has no metadata');
      total += checkColumn(bytes, meta, levelsOf(schema, meta.path_in_schema), Number(rows));
      if (total > MOST_VALUES) throw new Error(`it claims more than ${MOST_VALUES} values: split the file`);
    }
  }
}

interface Levels {
  readonly repetition: number;
  readonly definition: number;
}

function levelsOf(schema: SchemaTree, path: readonly string[]): Levels {
  let [node, repetition, definition]: [SchemaTree, number, number] = [schema, 0, 0];
  for (const name of path) {
    const child = node.children.find((candidate) => candidate.element.name === name);
    if (child === undefined) throw new Error(`column ${path.join('.')} is not in the schema`);
    node = child;
    if (child.element.repetition_type === 'REPEATED') repetition++;
    if (child.element.repetition_type !== 'REQUIRED') definition++;
  }
  return { repetition, definition };
}

function checkColumn(bytes: Uint8Array, meta: ColumnMeta, levels: Levels, rows: number): number {
  const name = meta.path_in_schema.join('.');
  const claimed = Number(meta.num_values);
  const start = Number(meta.dictionary_page_offset || meta.data_page_offset);
  const end = start + Number(meta.total_compressed_size);
  if (!(start >= 4 && end > start && end <= bytes.length) || !(claimed >= 0) || !(rows >= 0 && rows <= MOST_VALUES)) {
    throw new Error(
      `column ${name} claims ${claimed} values for ${rows} rows in bytes ${start} to ${end} of ${bytes.length}`,
    );
  }
  let [offset, values] = [start, 0];
  while (offset < end && values < claimed) {
    const header = compactStruct(bytes, offset, end);
    const [type, unpacked, packed] = [header.number(1), header.number(2), header.number(3)];
    if (
      !(packed >= 0 && header.end + packed <= end) ||
      !(unpacked >= 0 && unpacked <= (MOST_PACKED[meta.codec] ?? 1032) * (packed + 1))
    ) {
      throw new Error(`a page of column ${name} claims ${unpacked} bytes packed in ${packed}`);
    }
    const body = bytes.subarray(header.end, header.end + packed);
    if (type === DATA_PAGE)
      values += checkDataPage(unpackPage(body, unpacked, meta.codec), header.struct(5), levels, claimed);
    else if (type === DATA_PAGE_V2)
      values += checkDataPageV2(body, unpacked, meta.codec, header.struct(8), levels, claimed);
    else if (type === DICTIONARY_PAGE) within(header.struct(7).number(1), 8 * (unpacked + 1), 'a dictionary');
    else throw new Error(`a page of column ${name} is of unknown type ${type}`);
    offset = header.end + packed;
  }
  if (values !== claimed || (levels.repetition === 0 && values !== rows)) {
    throw new Error(`column ${name} claims ${claimed} values for ${rows} rows, its pages hold ${values}`);
  }
  return values;
}

function checkDataPage(page: Uint8Array, header: CompactStruct, levels: Levels, claimed: number): number {
  const count = within(header.number(1), claimed, 'a page');
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  let offset = 0;
  for (const level of [levels.repetition, levels.definition]) {
    if (level === 0) continue;
    const length = within(view.getUint32(offset, true), page.length - offset - 4, 'levels');
    checkRuns(page, offset + 4, offset + 4 + length, bitWidth(level), count);
    offset += 4 + length;
  }
  checkValues(page, offset, header.number(2), count);
  return count;
}

function checkDataPageV2(
  body: Uint8Array,
  unpacked: number,
  codec: string,
  header: CompactStruct,
  levels: Levels,
  claimed: number,
): number {
  const count = within(header.number(1), claimed, 'a page');
  const nulls = within(header.number(2), count, 'nulls of a page');
  const definition = within(header.number(5), body.length, 'levels');
  const repetition = within(header.number(6), body.length - definition, 'levels');
  if (levels.repetition > 0) checkRuns(body, 0, repetition, bitWidth(levels.repetition), count);
  if (levels.definition > 0) checkRuns(body, repetition, repetition + definition, bitWidth(levels.definition), count);
  const packed = body.subarray(repetition + definition);
  const size = unpacked - repetition - definition;
  const compressed = header.flag(7) ?? true;
  checkValues(compressed ? unpackPage(packed, size, codec) : packed, 0, header.number(4), count - nulls);
  return count;
}

function checkValues(page: Uint8Array, offset: number, encoding: number, count: number): void {
  if (count === 0 || SAFE_ENCODINGS.includes(encoding)) {
    // Eight booleans to a byte is the densest there is.
    within(count, 8 * (page.length - offset), 'values of a page');
  } else if (DICTIONARY_ENCODINGS.includes(encoding)) {
    const width = within(page[offset] ?? Number.NaN, 32, 'bits of an index');
    if (width > 0) checkRuns(page, offset + 1, page.length, width, count, true);
  } else if (encoding === 3) {
    const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
    const length = within(view.getUint32(offset, true), page.length - offset - 4, 'booleans of a page');
    checkRuns(page, offset + 4, offset + 4 + length, 1, count, true);
  } else if (DELTA_ENCODINGS.includes(encoding)) {
    const block = readVarint(page, offset, page.length);
    const parts = readVarint(page, block.end, page.length);
    const multiple = parts.value >= 1 && block.value % (32 * parts.value) === 0;
    if (block.value > 2 ** 16 || !multiple)
      throw new Error(`a delta block of ${block.value} values in ${parts.value} parts`);
  } else {
    throw new Error(`encoding ${encoding} is not read; write the table with plain or dictionary encoding`);
  }
}

/** Runs of the hybrid encoding must add up to `count` (filled to a multiple of 8 when bit-packed) without running over. */
function checkRuns(
  bytes: Uint8Array,
  start: number,
  end: number,
  width: number,
  count: number,
  mayBeShort = false,
): void {
  let [offset, seen] = [start, 0];
  while (seen < count) {
    // A page of nulls only has values missing, which the caller cannot know without reading its levels.
    if (mayBeShort && offset >= end) return;
    const header = readVarint(bytes, offset, end);
    const packed = (header.value & 1) === 1;
    const length = packed ? (header.value >>> 1) * 8 : header.value >>> 1;
    if (length === 0 || length > count - seen + (packed ? 7 : 0)) {
      throw new Error(`a run of ${length} values where ${count - seen} are left`);
    }
    offset = header.end + (packed ? (length / 8) * width : (width + 7) >> 3);
    seen += length;
  }
}

/** Unpacks a page of a known length; throws Error where that cannot be its length, or the compression is not read. */
export function unpackPage(bytes: Uint8Array, length: number, codec: string): Uint8Array {
  const most = MOST_PACKED[codec];
  if (most === undefined) throw new Error(`compression ${codec} is not read`);
  if (codec === 'UNCOMPRESSED') return bytes;
  within(length, most * (bytes.length + 1), 'bytes of a page');
  if (codec === 'GZIP') return gunzipSync(bytes, { maxOutputLength: length });
  const output = new Uint8Array(length);
  snappyUncompress(bytes, output);
  return output;
}

function within(value: number, most: number, what: string): number {
  if (!(Number.isInteger(value) && value >= 0 && value <= most)) {
    throw new Error(`${what}: ${value} claimed where at most ${most} can be`);
  }
  return value;
}

function bitWidth(level: number): number {
  return 32 - Math.clz32(level);
}
