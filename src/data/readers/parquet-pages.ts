// Checks a Parquet file's structure before hyparquet decodes it: the lengths of lists and pages, counts of values and lengths of
// runs must fit the file. (hyparquet believes them, and a run may claim two thousand million values.)
import { gunzipSync } from 'node:zlib';
import { type FileMetaData, type PageHeader, parquetMetadata, snappyUncompress } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel, getSchemaPath } from 'hyparquet/src/schema.js';
import { endOfStruct, readVarint } from './parquet-thrift.js';

type ColumnMeta = NonNullable<FileMetaData['row_groups'][number]['columns'][number]['meta_data']>;

/** Cells that a table may have in memory. */
const mostValues = 2 ** 27;
/** What a codec can pack at best: Snappy 64 bytes in 3, deflate 1032 to 1. */
const bestRatios: Readonly<Record<string, number>> = { UNCOMPRESSED: 1, SNAPPY: 32, GZIP: 1032 };

/**
 * Return the metadata of a file whose footer and pages can be what they claim.
 * @throws Error saying what cannot be, for a message that names the file
 */
export function checkedMetadata(bytes: Uint8Array): FileMetaData {
  const footerEnd = bytes.length - 8;
  const footerLength = footerEnd < 0 ? 0 : viewOf(bytes).getUint32(footerEnd, true);
  // hyparquet refuses a file without the marks, or too short for its footer.
  if (footerLength > 0 && footerLength <= footerEnd) endOfStruct(bytes, footerEnd - footerLength, footerEnd);
  const metadata = parquetMetadata(bytes);
  let total = 0;
  for (const { columns, num_rows: rows } of metadata.row_groups) {
    for (const { meta_data: meta } of columns) {
      if (meta === undefined) throw new Error('a column has no metadata');
      const path = getSchemaPath(metadata.schema, meta.path_in_schema);
      const levels = { repetition: getMaxRepetitionLevel(path), definition: getMaxDefinitionLevel(path) };
      total += checkColumn(bytes, meta, levels, Number(rows));
      if (total > mostValues) throw new Error(`it claims more than ${mostValues} values: split the file`);
    }
  }
  return metadata;
}

interface Levels {
  readonly repetition: number;
  readonly definition: number;
}

/** Return how many values the pages of a column hold. */
function checkColumn(bytes: Uint8Array, meta: ColumnMeta, levels: Levels, rows: number): number {
  const name = meta.path_in_schema.join('.');
  const claimed = Number(meta.num_values);
  const start = Number(meta.dictionary_page_offset || meta.data_page_offset);
  const end = start + Number(meta.total_compressed_size);
  if (!(start >= 4 && end > start && end <= bytes.length) || !(claimed >= 0) || !(rows >= 0 && rows <= mostValues)) {
    throw new Error(
      `column ${name} claims ${claimed} values for ${rows} rows in bytes ${start} to ${end} of ${bytes.length}`,
    );
  }
  let [offset, values] = [start, 0];
  while (offset < end && values < claimed) {
    const bodyStart = endOfStruct(bytes, offset, end);
    const header = parquetHeader({ view: viewOf(bytes), offset });
    const packed = within(header.compressed_page_size, end - bodyStart, `bytes of a page of column ${name}`);
    const most = (bestRatios[meta.codec] ?? 1032) * (packed + 1);
    const unpacked = within(header.uncompressed_page_size, most, `bytes packed in ${packed} of column ${name}`);
    values += checkPage(bytes.subarray(bodyStart, bodyStart + packed), unpacked, header, meta, levels, claimed);
    offset = bodyStart + packed;
  }
  if (values !== claimed || (levels.repetition === 0 && values !== rows)) {
    throw new Error(`column ${name} claims ${claimed} values for ${rows} rows, its pages hold ${values}`);
  }
  return values;
}

/** Return how many values of the `claimed` ones of its column a page holds: none if it is a dictionary. */
function checkPage(
  body: Uint8Array,
  unpacked: number,
  header: PageHeader,
  { type, codec }: ColumnMeta,
  levels: Levels,
  claimed: number,
): number {
  const { data_page_header: first, data_page_header_v2: second, dictionary_page_header: dictionary } = header;
  if (header.type === 'DATA_PAGE' && first) {
    const count = within(first.num_values, claimed, 'values of a page');
    const page = unpackPage(body, unpacked, codec);
    let offset = 0;
    for (const level of [levels.repetition, levels.definition]) {
      if (level > 0) offset = checkRunsOfLength(page, offset, bitWidth(level), count, 'bytes of levels');
    }
    checkValues(page, offset, first.encoding, type, count, false);
    return count;
  }
  if (header.type === 'DATA_PAGE_V2' && second) {
    const count = within(second.num_values, claimed, 'values of a page');
    const nulls = within(second.num_nulls, count, 'nulls of a page');
    const definition = within(second.definition_levels_byte_length, body.length, 'bytes of levels');
    const repetition = within(second.repetition_levels_byte_length, body.length - definition, 'bytes of levels');
    if (levels.repetition > 0) checkRuns(body, 0, repetition, bitWidth(levels.repetition), count);
    if (levels.definition > 0) checkRuns(body, repetition, repetition + definition, bitWidth(levels.definition), count);
    const rest = body.subarray(repetition + definition);
    const page = second.is_compressed === false ? rest : unpackPage(rest, unpacked - repetition - definition, codec);
    checkValues(page, 0, second.encoding, type, count - nulls, true);
    return count;
  }
  if (header.type !== 'DICTIONARY_PAGE' || !dictionary) throw new Error(`a page has the wrong type ${header.type}`);
  within(dictionary.num_values, 8 * (unpacked + 1), 'values of a dictionary');
  return 0;
}

function checkValues(
  page: Uint8Array,
  offset: number,
  encoding: string,
  type: string,
  count: number,
  isSecondVersion: boolean,
): void {
  if (count === 0 || encoding === 'PLAIN' || encoding === 'BYTE_STREAM_SPLIT') {
    // Eight booleans to a byte is the densest there is.
    within(count, 8 * (page.length - offset), 'values of a page');
  } else if (encoding === 'RLE' && type === 'BOOLEAN') {
    checkRunsOfLength(page, offset, 1, count, 'bytes of booleans', true);
  } else if ((encoding === 'PLAIN_DICTIONARY' || encoding === 'RLE_DICTIONARY') && type !== 'BOOLEAN') {
    const width = within(page[offset] ?? Number.NaN, 32, 'bits of an index');
    // Without bits there are no runs; only for pages of the second version hyparquet reads them all the same.
    if (width > 0 || isSecondVersion) checkRuns(page, offset + 1, page.length, width, count, true);
  } else if (encoding === 'DELTA_BINARY_PACKED' || encoding === 'DELTA_LENGTH_BYTE_ARRAY') {
    const block = readVarint(page, offset, page.length);
    const parts = readVarint(page, block.end, page.length);
    const isMultiple = parts.value >= 1 && block.value % (32 * parts.value) === 0;
    if (block.value > 2 ** 16 || !isMultiple)
      throw new Error(`a delta block of ${block.value} values in ${parts.value} parts`);
  } else {
    throw new Error(`encoding ${encoding} of ${type} is not read: write the table with plain or dictionary encoding`);
  }
}

/** Check runs behind their length in 32 bits, and return the offset behind them. */
function checkRunsOfLength(
  page: Uint8Array,
  offset: number,
  width: number,
  count: number,
  what: string,
  mayBeShort = false,
): number {
  const length = within(viewOf(page).getUint32(offset, true), page.length - offset - 4, what);
  checkRuns(page, offset + 4, offset + 4 + length, width, count, mayBeShort);
  return offset + 4 + length;
}

/** Check that runs of the hybrid encoding add up to `count` (filled to a multiple of 8 if bit-packed), and not to more. */
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
    // Nulls have no values; how many there are, only the levels say.
    if (mayBeShort && offset >= end) return;
    const header = readVarint(bytes, offset, end);
    const packed = (header.value & 1) === 1;
    const length = packed ? (header.value >>> 1) * 8 : header.value >>> 1;
    if (length === 0 || length > count - seen + (packed ? 7 : 0)) {
      throw new Error(`a run of ${length} values, and ${count - seen} are left`);
    }
    offset = header.end + (packed ? (length / 8) * width : (width + 7) >> 3);
    seen += length;
  }
}

/**
 * Unpack a page of a known length.
 * @throws Error if that cannot be its length, or the compression is not read
 */
export function unpackPage(bytes: Uint8Array, length: number, codec: string): Uint8Array {
  const most = bestRatios[codec];
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
    throw new Error(`${value} ${what} are claimed, and at most ${most} can be`);
  }
  return value;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function bitWidth(level: number): number {
  return 32 - Math.clz32(level);
}
