// A loss of your own: the pinball loss, whose minimum is a quantile of the targets. It knows nothing of cgfac's losses.
// npm run examples && node dist-examples/own-loss.js
import { batchOf, cgfac, dataset, type Loss, mae, mlp, predict, train, weightedMean } from 'cgfac/node';

/** The mean of max(q·r, (q − 1)·r) for r = target − output: at its minimum a share q of the targets lies below the output. */
function pinball(quantile: number): Loss {
  const value: Loss['value'] = (b, output, targets, weights) => {
    const error = b.sub(targets, output);
    return weightedMean(b, b.max(b.mul(error, quantile), b.mul(error, quantile - 1)), weights);
  };
  return {
    name: `pinball-${quantile}`,
    targets: 'values',
    targetType: (output) => output,
    value,
    // It depends on differences alone, so the network may learn targets that are standardized, and learns them faster.
    inUnits: (b, output, targets, deviation, weights) =>
      value(b, b.mul(output, deviation), b.mul(targets, deviation), weights),
    metric: mae(),
    step: 'self-tuning',
  };
}

/** Times of delivery: they grow with the distance, and so does what nobody can foresee. */
function deliveries(name: string, size: number, offset: number) {
  const between0And1 = (i: number, factor: number): number => ((i + offset) * factor) % 1;
  const distance = Float32Array.from({ length: size }, (_, i) => 10 * between0And1(i, 0.618034));
  const minutes = distance.map((km, i) => 10 + 3 * km - km * Math.log(1 - between0And1(i, 0.754878)));
  return dataset({
    name,
    size,
    inputs: { dtype: 'float32', shape: [1], data: distance },
    targets: { dtype: 'float32', shape: [1], data: minutes },
  });
}

const data = { train: deliveries('deliveries', 600, 1), test: deliveries('later deliveries', 300, 1000) };
for (const quantile of [0.5, 0.9]) {
  const options = { data, loss: pinball(quantile), optimizer: cgfac(), batchSize: 200, steps: 80, seed: 1 };
  const { model, warnings } = await train(mlp({ sizes: [1, 16, 1], activation: 'tanh', seed: 1 }), options);
  const { output } = await predict(model, batchOf(data.test).inputs);
  const below = data.test.targets.data.filter((minutes, i) => minutes <= Number(output?.data[i])).length;
  const [near, far] = Object.values(await predict(model, [[2], [9]])).flatMap(({ data }) => Array.from(data, Number));
  console.log(`promise ${quantile}: ${near?.toFixed(0)} minutes for 2 km, ${far?.toFixed(0)} for 9 km`);
  console.log(`  kept for a share of ${(below / data.test.size).toFixed(3)} of later deliveries`);
  for (const warning of warnings) console.log(`  ${warning}`);
}
