// A data set of your own, made in memory: two spirals, and a picture of what a network makes of the plane.
// npm run examples && node dist-examples/own-data.js
import { cgfac, dataset, mlp, predict, train } from 'cgfac/node';

/** Points on two spirals: example i lies on spiral i % 2. */
function spirals(name: string, size: number, offset: number) {
  const points = Array.from({ length: size }, (_, i) => {
    const turn = 0.25 + 1.25 * (((i + offset) * 0.618034) % 1);
    const angle = 2 * Math.PI * (turn + (i % 2) / 2);
    return [turn * Math.cos(angle), turn * Math.sin(angle)];
  });
  return dataset({
    name,
    size,
    inputs: { dtype: 'float32', shape: [2], data: Float32Array.from(points.flat()) },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from({ length: size }, (_, i) => i % 2) },
    classes: ['first', 'second'],
  });
}

const data = { train: spirals('spirals', 400, 0), test: spirals('points between them', 200, 1000.5) };
const { model, record } = await train(mlp({ sizes: [2, 32, 32, 2], activation: 'tanh', seed: 1 }), {
  data,
  optimizer: cgfac(),
  batchSize: 400,
  steps: 150,
  seed: 1,
});

const [columns, rows] = [48, 24];
const plane = Array.from({ length: rows * columns }, (_, i) => [
  ((i % columns) / (columns - 1)) * 3.2 - 1.6,
  1.6 - (Math.floor(i / columns) / (rows - 1)) * 3.2,
]);
const { output } = await predict(model, plane); // [points, classes]
const logits = Array.from(output?.data ?? [], Number);
for (let row = 0; row < rows; row++) {
  const isSecond = (i: number) => (logits[2 * i + 1] ?? 0) > (logits[2 * i] ?? 0);
  console.log(Array.from({ length: columns }, (_, i) => (isSecond(row * columns + i) ? '#' : '.')).join(''));
}
console.log(`test accuracy ${record.test.accuracy.toFixed(3)}`);
