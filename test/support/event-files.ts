// Reads TensorBoard's event files as TensorBoard does: by its own schemas, and by a checksum that is computed bit by bit. Nothing of it
// is shared with the writer.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileRegistry, fromBinary, toJson } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

const schemas = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, readFileSync('test/fixtures/tensorboard/schemas.binpb')),
);

/** A message as JSON, under the names of its schema. */
export type MessageJson = Readonly<Record<string, unknown>>;

/** Decode a message by the name of its type, such as `tensorboard.Event`. */
export function decodeMessage(type: string, bytes: Uint8Array): MessageJson {
  const schema = schemas.getMessage(type);
  if (!schema) throw new Error(`no schema of ${type}`);
  return toJson(schema, fromBinary(schema, bytes), { useProtoFieldName: true }) as MessageJson;
}

interface ReadValue {
  readonly tag: string;
  readonly simple_value?: number | string;
  readonly histo?: MessageJson;
  readonly image?: MessageJson;
  readonly metadata?: { readonly plugin_data: { readonly plugin_name: string; readonly content: string } };
}

export interface ReadEvent {
  readonly wall_time: number;
  readonly step?: string;
  readonly file_version?: string;
  readonly graph_def?: string;
  readonly session_log?: MessageJson;
  readonly summary?: { readonly value: readonly ReadValue[] };
}

/** CRC-32C, a bit at a time. */
function bitwiseChecksum(bytes: Uint8Array): number {
  let register = 0xffffffffn;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const one = (register ^ (BigInt(byte) >> BigInt(bit))) & 1n;
      register = (register >> 1n) ^ (one ? 0x82f63b78n : 0n);
    }
  }
  return Number(register ^ 0xffffffffn);
}

function masked(bytes: Uint8Array): number {
  const sum = BigInt(bitwiseChecksum(bytes));
  const rotated = (sum >> 15n) | (sum << 17n);
  return Number(((rotated & 0xffffffffn) + 0xa282ead8n) & 0xffffffffn);
}

/** Return the bytes of the events in a file. @throws if a record is torn, or a checksum is wrong */
export function rawEvents(file: Buffer): Buffer[] {
  const events: Buffer[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    if (file.readUInt32LE(at + 8) !== masked(file.subarray(at, at + 8))) throw new Error(`wrong length at ${at}`);
    const event = file.subarray(at + 12, at + 12 + length);
    if (file.readUInt32LE(at + 12 + length) !== masked(event)) throw new Error(`wrong checksum at ${at}`);
    events.push(event);
    at += 16 + length;
  }
  return events;
}

export const decodeEvent = (bytes: Uint8Array): ReadEvent =>
  decodeMessage('tensorboard.Event', bytes) as unknown as ReadEvent;

/** Return the events of all files in a folder, in the order of TensorBoard. */
export function readEvents(folder: string): ReadEvent[] {
  const names = readdirSync(folder)
    .filter((name) => name.includes('tfevents'))
    .sort();
  return names.flatMap((name) => rawEvents(readFileSync(join(folder, name))).map(decodeEvent));
}

/** Return the scalars of a tag: pairs of step and value. */
export const scalarsOf = (events: readonly ReadEvent[], tag: string): [number, number][] =>
  events.flatMap(({ step, summary }) =>
    (summary?.value ?? [])
      .filter((value) => value.tag === tag && value.simple_value !== undefined)
      .map((value): [number, number] => [Number(step ?? 0), Number(value.simple_value)]),
  );
