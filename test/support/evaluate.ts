// Computes values of a graph under construction, for tests: one engine in this thread for each test file.
import { nodeEngine } from '../../src/engine/node.js';
import type { GraphBuilder } from '../../src/graph/builder.js';
import type { Value } from '../../src/graph/graph.js';
import type { TensorData } from '../../src/graph/tensor.js';

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
