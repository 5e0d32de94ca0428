// Protobuf messages as lists of fields: the few of TensorBoard's that are written here, with the numbers of their schemas beside them.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Writes one field of a message. */
export type Field = (writer: BinaryWriter) => void;

type Values<T> = T | readonly T[];

const each = <T>(values: Values<T>, write: (value: T) => void): void => {
  for (const value of Array.isArray(values) ? (values as readonly T[]) : [values as T]) write(value);
};

/** Return the bytes of a message. */
export function encodeMessage(fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const field of fields) field(writer);
  return writer.finish();
}

/** A nested message. */
export const message =
  (number: number, fields: readonly Field[]): Field =>
  (writer) => {
    writer.tag(number, WireType.LengthDelimited).fork();
    for (const field of fields) field(writer);
    writer.join();
  };

/** A text, or several of a repeated field. */
export const text =
  (number: number, values: Values<string>): Field =>
  (writer) =>
    each(values, (value) => writer.tag(number, WireType.LengthDelimited).string(value));

export const bytes =
  (number: number, value: Uint8Array): Field =>
  (writer) => {
    writer.tag(number, WireType.LengthDelimited).bytes(value);
  };

export const double =
  (number: number, value: number): Field =>
  (writer) => {
    writer.tag(number, WireType.Bit64).double(value);
  };

/** Numbers of a repeated field, packed. */
export const doubles =
  (number: number, values: Iterable<number>): Field =>
  (writer) => {
    writer.tag(number, WireType.LengthDelimited).fork();
    for (const value of values) writer.double(value);
    writer.join();
  };

/** A float, or several of a repeated field, packed. Numbers beyond float32 become infinite. */
export const float =
  (number: number, values: Values<number>): Field =>
  (writer) => {
    if (!Array.isArray(values)) {
      writer.tag(number, WireType.Bit32).float(toFloat32(values as number));
      return;
    }
    writer.tag(number, WireType.LengthDelimited).fork();
    each(values, (value) => writer.float(toFloat32(value)));
    writer.join();
  };

/** An integer or a word of an enumeration, or several of a repeated field, packed. */
export const integer =
  (number: number, values: Values<number>): Field =>
  (writer) => {
    if (!Array.isArray(values)) {
      writer.tag(number, WireType.Varint).int64(values as number);
      return;
    }
    writer.tag(number, WireType.LengthDelimited).fork();
    each(values, (value) => writer.int64(value));
    writer.join();
  };

/** The writer refuses finite numbers that float32 has not. */
const toFloat32 = (value: number): number => Math.fround(value);
