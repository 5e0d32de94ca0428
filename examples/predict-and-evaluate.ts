// Evaluate a model on a data set by several metrics, exact over the set, and predict: plain arrays in, plain arrays out.
// npm run examples && node dist-examples/predict-and-evaluate.js
import {
  batchOf,
  cgfac,
  confusionMatrix,
  evaluate,
  f1,
  lenet,
  loadData,
  Network,
  predict,
  rowsOf,
  topK,
  train,
  withInputShape,
} from 'cgfac/node';

const data = await loadData('digits?train=1000&test=300', { seed: 1 });
const { model } = await train(lenet({ seed: 1 }), { data, optimizer: cgfac(), batchSize: 100, epochs: 4, seed: 1 });

const { values, tables } = await evaluate(model, data.test, {
  metrics: ['accuracy', topK(2), f1({ average: 'macro' }), 'log-loss', confusionMatrix()],
});
for (const [name, value] of Object.entries(values)) console.log(name.padEnd(18), value.toFixed(4));
console.log('rows are digits, columns what they are taken for:');
for (const row of tables.mistakes) console.log(row.map((count) => String(count).padStart(4)).join(''));

const examples = [0, 1, 2, 3, 4];
const pictures = withInputShape(data.test, [1, 28, 28]); // as LeNet takes them; train and evaluate see to it themselves
const { output } = await predict(model, batchOf(pictures, examples).inputs);
for (const [i, logits] of rowsOf(output).entries()) {
  console.log(`picture ${examples[i]}: a ${logits.indexOf(Math.max(...logits))}`);
}

// Two inputs and two outputs, on as many examples as there are.
const network = new Network('sums', { seed: 1 });
const [x, y] = [network.input('x', [2]), network.input('y', [2])];
const pair = network.model({ sum: network.b.add(x, y), product: network.b.mul(x, y) });
const { sum, product } = await predict(pair, {
  x: [
    [1, 2],
    [3, 4],
    [5, 6],
  ],
  y: [
    [1, 1],
    [2, 2],
    [3, 3],
  ],
});
console.log('sums', rowsOf(sum), 'products', rowsOf(product));
