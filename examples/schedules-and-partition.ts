// Schedules, chains and parts: matrices and kernels learn by one optimizer, everything else by another.
// npm run examples && node dist-examples/schedules-and-partition.js
import { adamw, chain, clipByGlobalNorm, cosine, isMatrix, lenet, muon, partition, train, warmUp } from 'cgfac/node';

const steps = 40;
const rate = warmUp(5, cosine(0.003, steps - 5)); // any number of an optimizer may be a schedule, or a function of the step
const small = adamw({ learningRate: rate, weightDecay: 0.01 });

const optimizers = {
  adamw: chain(clipByGlobalNorm(1), small),
  'muon and adamw': partition([
    [isMatrix, muon({ learningRate: 0.02 })], // a predicate,
    ['conv*.weight', muon({ learningRate: (step) => 0.02 / (1 + step / steps) })], // or a pattern of names
    ['*', small],
  ]),
};

console.log(`rate at steps 0, 5, 20, 39: ${[0, 5, 20, 39].map((step) => rate(step).toFixed(5)).join(', ')}`);
for (const [name, optimizer] of Object.entries(optimizers)) {
  const options = { data: 'digits?train=1000&test=300', batchSize: 100, steps, seed: 1 };
  const { record } = await train(lenet({ seed: 1 }), { ...options, optimizer });
  console.log(`${name}: loss ${record.train.loss.toFixed(4)}, test accuracy ${record.test.accuracy.toFixed(3)}`);
}
