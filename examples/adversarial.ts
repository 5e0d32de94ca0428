// Gradients by the input: pixels move a little against the network, and it errs (Goodfellow et al. 2014, section 4).
// npm run examples && node dist-examples/adversarial.js
import {
  batchOf,
  cgfac,
  dataset,
  drawnDigits,
  evaluate,
  mlp,
  onlyInput,
  predict,
  rowsOf,
  train,
  valueAndGradients,
} from 'cgfac/node';

const data = drawnDigits({ trainSize: 1000, testSize: 200, seed: 1 });
const { test } = data;
const { model } = await train(mlp({ seed: 1 }), { data, optimizer: cgfac(), batchSize: 250, steps: 30, seed: 1 });

const batch = batchOf(test);
const { gradients } = await valueAndGradients(model, {
  loss: 'softmax-cross-entropy',
  ...batch, // inputs and targets
  of: ['input'], // by default the parameters
});
const slopes = Array.from(gradients.get('input')?.data ?? [], Number);
const pixels = Float32Array.from(onlyInput(batch).data, Number);

/** The test set, each pixel moved by `size` in a direction, but not beyond black and white. */
function moved(size: number, directions: (i: number) => number) {
  const changed = pixels.map((pixel, i) => Math.min(1, Math.max(0, pixel + size * Math.sign(directions(i)))));
  return dataset({ ...test, inputs: { dtype: 'float32', shape: [784], data: changed } });
}
const attacked = (size: number) => moved(size, (i) => slopes[i]);

for (const size of [0, 0.05, 0.1, 0.2]) {
  const { values } = await evaluate(model, attacked(size));
  const noise = await evaluate(
    model,
    moved(size, (i) => Math.sin(i * i)),
  );
  console.log(`pixels moved by ${size}: accuracy ${values.accuracy}, at random ${noise.values.accuracy}`);
}

for (const set of [test, attacked(0.1)]) {
  const { inputs } = batchOf(set, [3]);
  const [logits] = rowsOf((await predict(model, inputs)).output);
  console.log(`taken for ${logits.indexOf(Math.max(...logits))}:`);
  const [picture] = rowsOf(onlyInput({ inputs }));
  const shades = Array.from({ length: 14 }, (_, row) =>
    Array.from({ length: 28 }, (_, column) => ' .:-=+*#%@'[Math.floor(picture[56 * row + column] * 9.99)]),
  );
  console.log(shades.map((line) => line.join('')).join('\n'));
}
