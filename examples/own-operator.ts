// A file with an operator of your own: what it is composed of says how to run it, to differentiate it and to train it.
// npm run examples && node dist-examples/own-operator.js
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cgfac, composedOperator, loadData, loadModel, saveModel, train, UnsupportedError } from 'cgfac/node';

/** x ⊙ sigmoid(x) ⊙ y (Shazeer 2020), with an attribute `beta` in the sigmoid if the node has one. */
const swiGlu = composedOperator(({ b, node, x }) => {
  const { beta } = node.attributes;
  const scaled = b.mul(x(0), beta?.kind === 'float' ? beta.value : 1);
  return [b.mul(b.mul(x(0), b.sigmoid(scaled)), x(1))];
});

const file = 'examples/data/swiglu.onnx';
const data = await loadData('csv:examples/data/houses.csv?label=heating&drop=price&test=0.25', { seed: 1 });
const options = { data, optimizer: cgfac(), batchSize: 180, steps: 40, seed: 1, normalize: true };

try {
  await train(await loadModel(file), options);
} catch (error) {
  if (!(error instanceof UnsupportedError)) throw error;
  console.log(`without a definition: ${error.message}`);
}

const model = await loadModel(file, { operators: { 'my.domain.SwiGlu': swiGlu } });
const { model: trained, record } = await train(model, options);
console.log(`loss ${record.steps[0].loss.toFixed(3)} at first, ${record.train.loss.toFixed(3)} in the end`);
console.log(`accuracy on houses that it has not seen: ${record.test.accuracy.toFixed(3)}`);

const path = join(tmpdir(), 'swiglu.onnx');
await saveModel(trained, path);
const { graph } = await loadModel(path);
console.log(`the trained file has it by its name: ${graph.nodes.map(({ op }) => op).join(', ')}`);
