// Fine-tune an ONNX file on another task by few examples: a new last layer, or that and low-rank adapters.
// npm run examples && node dist-examples/fine-tune.js
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  adamw,
  cgfac,
  type Dataset,
  dataset,
  drawnDigits,
  fineTuned,
  lenet,
  loadModel,
  saveModel,
  train,
} from 'cgfac/node';

// A file to begin with, as another program might export it: LeNet, which tells ten digits apart.
const path = join(tmpdir(), 'digits.onnx');
const many = drawnDigits({ trainSize: 2000, testSize: 300, seed: 2 });
const exported = await train(lenet({ seed: 1 }), {
  data: many,
  optimizer: cgfac(),
  batchSize: 100,
  epochs: 3,
  seed: 1,
});
await saveModel(exported.model, path);
console.log(`the file tells digits apart with accuracy ${exported.record.test.accuracy.toFixed(3)}`);

/** Is the digit above four? */
const withTask = (digits: Dataset): Dataset =>
  dataset({
    ...digits,
    targets: { dtype: 'int64', shape: [], data: Int32Array.from(digits.targets.data, (digit) => Number(digit > 4)) },
    classes: ['0 to 4', '5 to 9'],
  });
const few = drawnDigits({ trainSize: 100, testSize: 500, seed: 3 });
const data = { train: withTask(few.train), test: withTask(few.test) };

const file = await loadModel(path);
const candidates = {
  'a new network': fineTuned(lenet({ seed: 5 }), { newHead: 2, seed: 4 }),
  'the file, all of it': fineTuned(file, { newHead: 2, seed: 4 }),
  'the file, adapters of rank 4': fineTuned(file, { newHead: 2, lora: 4, seed: 4 }),
  'the file, its last layer': fineTuned(file, { newHead: 2, train: ['fc3.*'], seed: 4 }),
};
for (const [name, model] of Object.entries(candidates)) {
  const optimizer = adamw({ learningRate: 0.003 });
  const { record } = await train(model, { data, optimizer, batchSize: 50, steps: 50, seed: 1 });
  const trained = [...model.parameters.values()].map(({ dims }) => dims.reduce((x, y) => x * y, 1));
  const count = trained.reduce((sum, size) => sum + size, 0);
  console.log(`${name}: ${count} numbers, test accuracy ${record.test.accuracy.toFixed(3)}`);
}
