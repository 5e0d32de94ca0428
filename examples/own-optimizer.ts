// An optimizer of your own: Lion (Chen et al. 2023) in 20 lines. The library's lion() gives the same numbers, bit for bit.
// npm run examples && node dist-examples/own-optimizer.js
import { lion, mlp, type Optimizer, type Schedule, train, type Value, warmUp } from 'cgfac/node';

const ownLion = (learningRate: Schedule, weightDecay: number): Optimizer => ({
  name: 'own-lion',
  build({ b, parameters, gradients, scalar, state }) {
    const rate = scalar('learningRate', learningRate); // an input of the program, fed before each step
    const mixed = (old: Value, gradient: Value, share: number) => b.add(b.mul(old, share), b.mul(gradient, 1 - share));
    const next = new Map<string, Value>();
    for (const [name, parameter] of parameters) {
      const gradient = gradients.get(name);
      if (!gradient) continue;
      let direction = gradient;
      state(`momentum.${name}`, parameter.dims, (old) => {
        direction = b.sign(mixed(old, gradient, 0.9));
        return mixed(old, gradient, 0.99);
      });
      const kept = b.mul(parameter, b.sub(1, b.mul(rate, weightDecay)));
      next.set(name, b.sub(kept, b.mul(direction, rate)));
    }
    return next; // the program of a step: the momentum and the parameters stay inside the engine
  },
});

const learningRate = warmUp(5, 0.001);
const losses = new Map<string, number[]>();
for (const optimizer of [ownLion(learningRate, 0.1), lion({ learningRate, weightDecay: 0.1 })]) {
  const options = { data: 'digits?train=1000&test=300', batchSize: 100, steps: 40, seed: 1, threads: 1 };
  const { record } = await train(mlp({ seed: 1 }), { ...options, optimizer });
  losses.set(
    optimizer.name,
    record.steps.map(({ loss }) => loss),
  );
  console.log(
    `${optimizer.name}: loss ${record.train.loss.toFixed(4)}, test accuracy ${record.test.accuracy.toFixed(3)}`,
  );
}
const [own = [], library = []] = losses.values();
console.log(`steps with the same loss: ${own.filter((loss, i) => loss === library[i]).length} of ${own.length}`);
