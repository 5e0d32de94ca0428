// Computes values of a graph under construction, for tests: one engine in this thread for each test file.
import { nodeEngine } from '../engine/node.js';
import type { GraphBuilder } from '../graph/builder.js';
import type { Value } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';

const engine = nodeEngine({ worker: false, threads: 1 });

/** The outputs of a graph whose inputs are fed, computed by ONNX Runtime. Feeds must name all inputs of the builder. */
export async function evaluate(
  outputs: Readonly<Record<string, Value>>,
  builder: GraphBuilder,
  feeds: Readonly<Record<string, TensorData>> = {},
): Promise<Record<string, TensorData>> {
  const program = await (await engine).compile(builder.build('test', outputs));
  try {
    return await program.run(feeds);
  } finally {
    await program.release();
  }
}
