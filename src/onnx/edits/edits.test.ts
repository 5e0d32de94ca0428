// Every edit of a message is pure: the message that it is given, and all of its parts, stay as they were.
import { toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import { describe, expect, it } from 'vitest';
import { type ModelSpec, modelBytes, ramp } from '../../../test/support/onnx-models.js';
import { tensorFrom } from '../../graph/tensor.js';
import { decodeProto } from '../decode/message.js';
import { withInitializers } from '../patch.js';
import { appended, prepended, withoutAppended } from './constant-steps.js';
import { embedConstants } from './embed-constants.js';
import { withOutputSize } from './output-size.js';
import { separateShared } from './separate-shared.js';
import { widened } from './widen.js';

const halves = (...bits: number[]) =>
  ({ dtype: 'float16', dims: [bits.length], data: Uint16Array.from(bits) }) as const;

/** A model of 16-bit floats with a constant of its own, and a scale and a shift that two layers share. */
const spec: ModelSpec = {
  opset: 17,
  inputs: { x: ['float16', ['batch', 3]] },
  initializers: { scale: halves(0x3c00, 0x3c00, 0x3c00), shift: halves(0, 0, 0) },
  nodes: [
    { op: 'Constant', inputs: [], outputs: ['c'], attributes: { value: { tensor: halves(0x4000) } } },
    { op: 'Mul', inputs: ['x', 'c'], outputs: ['h'] },
    { op: 'LayerNormalization', inputs: ['h', 'scale', 'shift'], outputs: ['n'] },
    { op: 'LayerNormalization', inputs: ['n', 'scale', 'shift'], outputs: ['m'] },
    { op: 'Cast', inputs: ['m'], outputs: ['y'], attributes: { to: 10 } },
  ],
  outputs: ['y'],
};

function frozen<Part>(part: Part): Part {
  if (typeof part !== 'object' || part === null || ArrayBuffer.isView(part) || Object.isFrozen(part)) return part;
  Object.freeze(part);
  for (const inner of Object.values(part)) frozen(inner);
  return part;
}

const step = { op: 'Add', name: 'added', constant: 'offset', value: tensorFrom('float32', [1], [2]) };
type Message = ReturnType<typeof decodeProto>;
const edits: Record<string, (proto: Message) => Message> = {
  embedConstants,
  separateShared: (proto) => separateShared(proto).proto,
  widened,
  withInitializers: (proto) =>
    withInitializers(proto, new Map([['scale', tensorFrom('float32', [3], [1, 2, 3])]]), new Map()),
  withOutputSize: (proto) => withOutputSize(proto, 1, 5),
  prepended: (proto) => prepended(proto, 'x', [step]),
  appended: (proto) => appended(proto, 'y', 'inner', [step]),
  withoutAppended: (proto) => withoutAppended(appended(proto, 'y', 'inner', [step]), 'y', 'inner', [step]),
};

describe.each(Object.entries(edits))('%s', (name, edit) => {
  it('changes nothing in place', () => {
    const bytes = modelBytes(spec);
    const proto = frozen(decodeProto(bytes));
    const edited = edit(proto);
    expect(toBinary(ModelProtoSchema, proto)).toEqual(bytes);
    const same = Buffer.compare(toBinary(ModelProtoSchema, edited), bytes) === 0;
    // Nothing is outside this file, its output declares no shape, and the last edit takes the one before it back.
    expect(same).toBe(['embedConstants', 'withOutputSize', 'withoutAppended'].includes(name));
  });
});

it('gives the message itself where there is nothing to change', () => {
  const proto = decodeProto(
    modelBytes({ ...spec, inputs: { x: ['float32', [2]] }, initializers: { w: ramp([2]) }, nodes: [] }),
  );
  expect(embedConstants(proto)).toBe(proto);
  expect(separateShared(proto).proto).toBe(proto);
  expect(widened(proto)).toBe(proto);
});
