// Runs a graph as it is, without the runtime's optimizations: checks load large graphs and run them a few times, and
// each operator's own kernel is what they are about.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Graph } from '../../src/graph/graph.js';
import { isDataType, type TensorData, type TypedArray, tensor } from '../../src/graph/tensor.js';
import { encodeModel } from '../../src/onnx/encode/writer.js';

export interface Runner {
  /** Feeds that the graph does not read are ignored. */
  run(feeds: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>>;
  release(): Promise<void>;
}

export async function runner(graph: Graph): Promise<Runner> {
  const session = await InferenceSession.create(encodeModel(graph), {
    intraOpNumThreads: 1,
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  });
  return {
    run: async (feeds) => {
      const given = session.inputNames.map((name) => {
        const value = feeds[name];
        if (!value) throw new Error(`no value for the input '${name}'`);
        return [name, new Tensor(value.dtype as 'float32', value.data as Float32Array, value.dims)] as const;
      });
      const results = await session.run(Object.fromEntries(given));
      return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, toData(value as Tensor)]));
    },
    release: () => session.release(),
  };
}

function toData(value: Tensor): TensorData {
  if (!isDataType(value.type)) throw new Error(`the runtime returned a tensor of ${value.type}`);
  return tensor(value.type, value.dims, value.data as TypedArray);
}
