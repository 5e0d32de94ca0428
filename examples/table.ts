// From a CSV file to predictions: a regression on raw columns, which the model standardizes itself.
// npm run examples && node dist-examples/table.js
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cgfac, loadData, loadModel, mlp, predict, rowsOf, saveModel, train } from 'cgfac/node';

// Columns: area (m²), rooms, built (year), km (to the centre), price; `heating` is text, which a network does not take.
const data = await loadData('csv:examples/data/houses.csv?target=price&drop=heating&test=0.25', { seed: 1 });
const { model, record, warnings } = await train(mlp({ sizes: [4, 32, 1], activation: 'tanh', seed: 1 }), {
  data,
  loss: 'mean-squared-error',
  metrics: ['mae', 'r2'],
  optimizer: cgfac(), // nothing to tune
  batchSize: 180,
  steps: 80,
  seed: 1,
});
for (const warning of warnings) console.log(warning);
const { meanAbsoluteError, r2 } = record.test; // in the units of the data
console.log(
  `${data.test.size} houses that it has not seen: off by ${meanAbsoluteError.toFixed(0)}, R² ${r2.toFixed(3)}`,
);

const path = join(tmpdir(), 'houses.onnx');
await saveModel(model, path); // the file takes raw columns, and predicts prices
const houses = [
  [80, 3, 1930, 2],
  [80, 3, 1930, 20],
  [160, 6, 2015, 20],
];
const { output } = await predict(await loadModel(path), houses);
for (const [i, [price]] of rowsOf(output).entries()) console.log(`${houses[i].join(', ')}: ${price.toFixed(0)}`);
