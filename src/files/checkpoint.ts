// One checkpoint is one safetensors file: tensors as they are, the numbers as JSON among its metadata. Its last tensor is the
// SHA-256 of all bytes before it, so that no torn, truncated or changed file is taken for a whole one.
import { createHash } from 'node:crypto';
import { FileError, messageOf } from '../errors.js';
import { exactJson, type Json, readExactJson } from '../exact-json.js';
import type { TensorData } from '../graph/tensor.js';
import { isRecord } from '../options.js';
import type { Disk } from './disk.js';
import { readSafetensors, safetensorsParts } from './safetensors.js';
import { writeFileAtomically } from './write.js';

/** The state of a run after some steps. */
export interface Checkpoint {
  /** Number of steps taken. */
  readonly step: number;
  readonly numbers: Readonly<Record<string, Json>>;
  readonly tensors: Readonly<Record<string, TensorData>>;
  /** What the run is made of, to tell whether another one may go on from here. */
  readonly origin: Readonly<Record<string, Json>>;
}

const format = 'cgfac checkpoint';
/** Raised when a reader of before would misread a file; this reader knows all versions up to it. */
const version = 1;
const checksumName = '__sha256__';
const checksumBytes = 32;

/** @throws FileError if the file cannot be written: what was at the path is untouched */
export function writeCheckpoint(
  path: string,
  { step, numbers, tensors, origin }: Checkpoint,
  disk?: Disk,
): Promise<void> {
  const checksum = new Uint8Array(checksumBytes);
  const parts = safetensorsParts({
    metadata: {
      format,
      version: String(version),
      step: String(step),
      numbers: exactJson(numbers),
      origin: exactJson(origin),
    },
    tensors: { ...tensors, [checksumName]: { dtype: 'uint8', dims: [checksumBytes], data: checksum } },
  });
  return writeFileAtomically(path, withChecksum(parts.slice(0, -1), checksum), disk);
}

/** Bytes to be summed at once: between two slices the process does other work. */
const sliceBytes = 2 ** 22;

function* withChecksum(parts: readonly Uint8Array[], checksum: Uint8Array): Iterable<Uint8Array> {
  const hash = createHash('sha256');
  for (const part of parts) {
    for (let begin = 0; begin < part.length; begin += sliceBytes) {
      const slice = part.subarray(begin, begin + sliceBytes);
      hash.update(slice);
      yield slice;
    }
  }
  checksum.set(hash.digest());
  yield checksum;
}

/** @throws FileError with the path if the file cannot be read, or is not a whole checkpoint of a version up to this one */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const hash = createHash('sha256');
  let held: Uint8Array | undefined;
  const { metadata, tensors } = await readSafetensors(path, (part) => {
    if (held) hash.update(held);
    held = part;
  });
  if (metadata.format !== format) {
    throw new FileError(`'${path}' is no checkpoint of cgfac, but another safetensors file`);
  }
  const { [checksumName]: checksum, ...own } = tensors;
  const sum = hash.digest();
  if (!checksum || !held || !sum.equals(held)) {
    throw new FileError(`'${path}' is torn or was changed: its checksum is not that of its bytes`);
  }
  const written = Number(metadata.version);
  if (!(written <= version)) {
    throw new FileError(
      `'${path}' is of version ${metadata.version} of the format, and this cgfac knows versions up to ${version}: update cgfac`,
    );
  }
  try {
    const [numbers, origin] = [recordIn(metadata.numbers), recordIn(metadata.origin)];
    return { step: Number(metadata.step), numbers, tensors: own, origin };
  } catch (cause) {
    throw new FileError(`'${path}' is no checkpoint that cgfac wrote: ${messageOf(cause)}`, { cause });
  }
}

function recordIn(text: string | undefined): Record<string, Json> {
  const value = readExactJson(text ?? '');
  if (isRecord(value)) return value as Record<string, Json>;
  throw new FileError('its numbers are no object');
}
