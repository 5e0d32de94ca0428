// A kind of layer of your own with its curvature: a bank of dense layers, one for each row of a picture, in one Einsum.
// npm run examples && node dist-examples/own-layer-kind.js
import {
  attribute,
  axisRows,
  cgfac,
  initializations,
  kroneckerBlocks,
  type LayerKind,
  layerKinds,
  Network,
  normalized,
  train,
} from 'cgfac/node';

const equation = 'bgi,gio->bgo';

/** s[b, g, :] = a[b, g, :] · W[g] with a weight W of shape [groups, inputs, outputs]. */
const bank: LayerKind = {
  kind: 'bank',
  factor: 'full', // E[aaᵀ] of each group is estimated from rows of activations
  decays: true,
  match({ node, value }) {
    const [activations, weight] = node.inputs;
    const given = node.attributes.equation;
    if (node.op !== 'Einsum' || given?.kind !== 'string' || given.value !== equation) return undefined;
    if (weight !== value || !activations) return undefined;
    const [groups, inputs, outputs] = value.dims;
    return { node, activations, groups, inputs, outputs, outputsFirst: false, outputAxes: [1, 3] };
  },
  inputRows: (b, { activations, groups }) => axisRows(b, activations, [1, 3], groups), // [groups, rows, inputs]
};

const network = new Network('rows', { seed: 1 });
const { b } = network;
const rows = b.reshape(network.input('pixels', [784]), [-1, 28, 28]);
const weight = network.parameter('bank.weight', [28, 28, 6], initializations.he(28));
const hidden = b.relu(b.op('Einsum', [rows, weight], { equation: attribute.text(equation) }));
const model = network.model(network.dense(b.reshape(hidden, [-1, 28 * 6]), 'head', 10));

const kinds = [...layerKinds, bank];
console.log(`without the kind, Adam trains bank.weight: it is ${kroneckerBlocks(model).rest.get('bank.weight')}`);
for (const { weight, kind, groups, inputs, outputs } of kroneckerBlocks(model, { layerKinds: kinds }).blocks) {
  console.log(`with it, ${weight} has ${groups} ${kind} block(s) of ${inputs} × ${outputs}`);
}
const step = normalized({ learningRate: 0.02 });
for (const [title, optimizer] of [
  ['without the kind', cgfac({ step })],
  ['with the kind', cgfac({ step, layerKinds: kinds })],
] as const) {
  const options = { data: 'digits?train=1000&test=300', batchSize: 250, steps: 40, seed: 1 };
  const { record } = await train(model, { ...options, optimizer });
  const { train: trained, test } = record;
  console.log(`${title}: training loss ${trained.loss.toFixed(4)}, test accuracy ${test.accuracy.toFixed(3)}`);
}
