// Changes the metadata of a model's message: texts by keys, which any program that reads the file can ask for.
import { create } from '@bufbuild/protobuf';
import { type ModelProto, StringStringEntryProtoSchema } from 'onnx-buf';
import { shallowCopy } from '../message-copy.js';

/**
 * Return the message with other metadata under some keys. The entries of all other keys stay as they are, in their order.
 * @param keys whose entries are replaced
 * @param entries the new ones
 */
export function withMetadata(
  proto: ModelProto,
  keys: ReadonlySet<string>,
  entries: Readonly<Record<string, string>>,
): ModelProto {
  const others = proto.metadataProps.filter(({ key }) => !keys.has(key));
  const own = Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value }));
  return shallowCopy<ModelProto>(proto, { metadataProps: [...others, ...own] });
}
