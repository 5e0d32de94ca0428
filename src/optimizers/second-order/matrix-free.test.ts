// Matrix-free means it: nothing of the size of a Kronecker factor or of a Fisher block is anywhere in a step of cgfac.
import { expect, test } from 'vitest';
import { manyExamples } from '../../../test/support/setting.js';
import { empirical, exact, sampled } from '../../curvature/fisher.js';
import { constantsOf, type Graph, subgraphs, type Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { lossOf } from '../../losses/index.js';
import { mlp } from '../../nn/zoo.js';
import { buildStep } from '../../training/step-program.js';
import type { Optimizer } from '../optimizer.js';
import { scheduled } from '../steps/scheduled.js';
import { selfTuning } from '../steps/self-tuning.js';
import { type CgfacOptions, cgfac } from './cgfac.js';
import { sketches } from './factors.js';
import { kfac } from './kfac.js';
import { primal } from './primal.js';
import { tikhonov } from './tikhonov.js';

// No square of these, with one added or not, is a product of others of them.
const sizes = [113, 97, 89, 83];
const [rank, batch] = [16, 23];
const layers = sizes.slice(1).map((outputs, i) => ({ inputs: sizes[i] ?? 0, outputs }));

/** Element counts of what CG-FAC must not form, with its name. */
const forbidden = new Map<number, string>();
for (const { inputs: m, outputs: n } of layers) {
  for (const order of [m, m + 1, n, m * n, (m + 1) * n]) forbidden.set(order ** 2, `a matrix of order ${order}`);
}

/** Every value of a graph and of the bodies inside it. */
function* valuesOf(graph: Graph): Generator<Value> {
  yield* graph.inputs;
  yield* constantsOf(graph);
  for (const node of graph.nodes) {
    yield* node.outputs;
    for (const body of subgraphs(node)) yield* valuesOf(body);
  }
}

function stepOf(optimizer: Optimizer): Graph {
  const loss = lossOf('softmax-cross-entropy');
  return buildStep({
    model: mlp({ seed: 1, sizes }),
    loss,
    metric: loss.metric,
    optimizer,
    setting: manyExamples(loss),
    inputs: { dtype: 'float32', shape: [batch, sizes[0] ?? 0] },
    targets: { dtype: 'int64', shape: [batch] },
  }).graph;
}

function formed(graph: Graph): Set<string> {
  const found = new Set<string>();
  for (const value of valuesOf(graph)) {
    const name = forbidden.get(elementCount(value.dims)); // throws where a size is not known
    if (name) found.add(name);
  }
  return found;
}

const small = sketches({ rank });
const forms: readonly (readonly [string, CgfacOptions])[] = [
  ['with no options but the rank', { factors: small }],
  ['self-tuning', { factors: small, step: selfTuning() }],
  ['scheduled', { factors: small, step: scheduled() }],
  ['without moving averages', { factors: sketches({ rank, decay: 0 }) }],
  ['folding more rows than the rank', { factors: small, curvatureRows: batch }],
  ['Tikhonov damping', { factors: small, damping: tikhonov() }],
  ['the empirical Fisher', { factors: small, fisher: empirical() }],
  ['the exact Fisher', { factors: small, fisher: exact() }],
  ['several samples', { factors: small, fisher: sampled({ samples: 3 }) }],
  ['the primal form', { damping: primal() }],
];

test.each(forms)('cgfac %s forms no factor', (_name, options) => {
  const graph = stepOf(cgfac({ curvatureRows: rank, ...options }));
  expect([...formed(graph)]).toEqual([]);
  // Nor anything else that is larger than a layer's weights, or than the rows of all passes together.
  const passes = options.fisher?.name === 'exact' ? (sizes.at(-1) ?? 1) : 3;
  const largestRows = Math.max(batch, rank * passes) * (Math.max(...sizes) + 1);
  const largest = Math.max(...Array.from(valuesOf(graph), (value) => elementCount(value.dims)));
  expect(largest).toBeLessThanOrEqual(Math.max(...layers.map(({ inputs, outputs }) => inputs * outputs), largestRows));
});

test.each([
  ['Tikhonov damping', { factors: small, damping: tikhonov() }],
  ['the primal form', { damping: primal() }],
  ['the primal form, from the last solution', { damping: primal({ warmStart: true }) }],
] as const)('%s: an iteration touches nothing of the size of a layer', (_name, options: CgfacOptions) => {
  const loops = stepOf(cgfac({ curvatureRows: rank, ...options })).nodes.filter(({ op }) => op === 'Loop');
  expect(loops.length).toBeGreaterThan(0);
  const inside = loops.flatMap(subgraphs).flatMap((body) => [...valuesOf(body)]);
  const largest = Math.max(...inside.map(({ dims }) => elementCount(dims)));
  expect(largest).toBeLessThan(Math.min(...layers.map(({ inputs, outputs }) => inputs * outputs)));
  expect(largest).toBeGreaterThanOrEqual(rank * rank);
});

test('the walk sees the bodies of loops and branches', () => {
  const bodies = stepOf(cgfac({ factors: small, step: selfTuning(), damping: tikhonov() })).nodes.filter(
    (node) => subgraphs(node).length > 0,
  );
  expect(new Set(bodies.map(({ op }) => op))).toEqual(new Set(['Loop', 'If']));
});

test('the same walk finds the factors of kfac', () => {
  const found = formed(stepOf(kfac()));
  for (const { inputs, outputs } of layers) {
    expect(found).toContain(`a matrix of order ${inputs + 1}`);
    expect(found).toContain(`a matrix of order ${outputs}`);
  }
});

test('sides no larger than the rank are held dense: the smaller one, always', () => {
  expect(formed(stepOf(cgfac({ factors: sketches({ rank: 90 }) })))).toEqual(
    new Set([90, 83, 89].map((order) => `a matrix of order ${order}`)),
  );
});
