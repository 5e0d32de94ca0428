// Embeds the constants of files beside the model in the message: they stay with the nodes when the model is written, and
// are read once, while the files are there.
import { TensorProto_DataLocation as DataLocation, type ModelProto } from 'onnx-buf';
import { decodeTensor, type ReadExternal } from '../decode/tensor.js';
import { withElements } from '../encode/tensor.js';
import { mapMessage } from './map-message.js';

/**
 * Return the message with the elements of all tensors embedded, except the initializers of the graph itself.
 * @throws FileError, UnsupportedError if a tensor cannot be read
 */
export function embedConstants(proto: ModelProto, readExternal?: ReadExternal): ModelProto {
  const initializers = new Set(proto.graph?.initializer);
  return mapMessage(proto, {
    tensor: (tensor) =>
      tensor.dataLocation !== DataLocation.EXTERNAL || initializers.has(tensor)
        ? tensor
        : withElements(tensor, decodeTensor(tensor, readExternal)),
  });
}
