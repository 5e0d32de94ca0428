// A network of your own with a layer of your own: a layer is a function that takes a network and a value.
// npm run examples && node dist-examples/own-model.js
import { cgfac, Network, train, type Value } from 'cgfac/node';

/** Squeeze and excitation (Hu et al. 2018): multiply each channel by a gate that is computed from all channels. */
function gated(network: Network, x: Value, name: string, channels: number): Value {
  const { b } = network;
  const hidden = b.relu(network.dense(network.globalAveragePool(x), `${name}.squeeze`, channels / 2));
  const gate = b.sigmoid(network.dense(hidden, `${name}.excite`, channels));
  return b.mul(x, b.unsqueeze(gate, [2, 3])); // [batch, channels, 1, 1] broadcasts over the positions
}

function block(network: Network, x: Value, name: string, channels: number): Value {
  const y = network.conv2d(network.groupNorm(x, `${name}.norm`, 4), `${name}.conv`, channels, {
    kernel: 3,
    padding: 1,
  });
  return network.b.add(x, gated(network, network.b.relu(y), name, channels)); // a residual connection is an addition
}

const network = new Network('gated-resnet', { seed: 1 });
const image = network.input('image', [1, 28, 28]);
let x = network.activation(network.conv2d(image, 'stem', 8, { kernel: 3, stride: 2, padding: 1 }), 'relu');
x = block(network, x, 'block1', 8);
x = block(network, network.maxPool2d(x), 'block2', 8);
const given = network.model(network.dense(network.b.reshape(x, [-1, 8 * 7 * 7]), 'head', 10));

for (const [name, { dims }] of given.parameters) console.log(name.padEnd(24), dims.join(' × '));

const { record } = await train(given, {
  data: 'digits?train=2000&test=300',
  optimizer: cgfac(),
  batchSize: 100,
  epochs: 3,
  seed: 1,
});
console.log(`test accuracy ${record.test.accuracy.toFixed(3)} after ${record.steps.length} steps`);
