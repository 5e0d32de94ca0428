// Takes the constants that a file keeps beside it into the message: they stay with the nodes when the model is written,
// and are read once, while the file is there.
import { TensorProto_DataLocation as DataLocation, type ModelProto } from 'onnx-buf';
import { decodeTensor, type ReadExternal, withElements } from '../tensor.js';
import { mapMessage } from './map-message.js';

/**
 * Return the message with the elements of all tensors in it, but for those of the graph's own list of initializers.
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
