// The file of examples/own-operator.ts, as another program might export it: a classifier with an operator of its own.
import { create, toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, OperatorSetIdProtoSchema } from 'onnx-buf';
import { type TensorData, tensorFrom } from '../../src/graph/tensor.js';
import { random } from '../../src/random.js';
import { modelProto } from './onnx-models.js';

/** Four numbers, 16 hidden units, three classes; Glorot's normal weights. */
export function ownOperatorFile(): Uint8Array {
  const source = random(1, 'own-operator');
  const weight = (inputs: number, outputs: number): TensorData =>
    tensorFrom(
      'float32',
      [inputs, outputs],
      Array.from({ length: inputs * outputs }, () => Math.sqrt(2 / (inputs + outputs)) * source.normal()),
    );
  const proto = modelProto({
    opset: 20,
    inputs: { table: ['float32', ['batch', 4]] },
    initializers: { 'gate.weight': weight(4, 16), 'value.weight': weight(4, 16), 'head.weight': weight(16, 3) },
    nodes: [
      { op: 'MatMul', name: 'gate', inputs: ['table', 'gate.weight'], outputs: ['g'] },
      { op: 'MatMul', name: 'value', inputs: ['table', 'value.weight'], outputs: ['v'] },
      { op: 'SwiGlu', domain: 'my.domain', name: 'swiglu', inputs: ['g', 'v'], outputs: ['h'] },
      { op: 'MatMul', name: 'head', inputs: ['h', 'head.weight'], outputs: ['logits'] },
    ],
    outputs: ['logits'],
  });
  proto.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: 'my.domain', version: 1n }));
  return toBinary(ModelProtoSchema, proto);
}
