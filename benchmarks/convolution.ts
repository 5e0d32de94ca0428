// Times the ways of computing a convolution's gradients that src/ops/spatial/convolution-gradients.ts chooses between, on the shapes of
// LeNet, ResNet-20 and a small depthwise network. Run: npm run bench:convolution [threads]

import { vectorJacobianProduct } from '../src/autodiff/gradients.js';
import { nodeEngine } from '../src/engine/node.js';
import { type Attributes, int, ints, type Node, type Value } from '../src/graph/graph.js';
import { elementCount, type TensorData, tensor } from '../src/graph/tensor.js';
import { Builder } from '../src/ops/builder.js';
import { type GradientContext, type GradientRule, gradientContext } from '../src/ops/definition.js';
import { convolutionOps } from '../src/ops/spatial/convolution.js';
import {
  inputGradientByConv,
  inputGradientByTranspose,
  weightGradientByConv,
  weightGradientByImages,
  weightGradientByPatches,
} from '../src/ops/spatial/convolution-gradients.js';
import { patches, weightGradientByShifts } from '../src/ops/spatial/patches.js';
import { type WindowAxis, windowAxes } from '../src/ops/spatial/windows.js';
import { random } from '../src/random.js';
import { positive, takeTurns, usage } from './measure.js';

const [threads = 2] = positive(process.argv.slice(2)) ?? usage('npm run bench:convolution [-- threads]');
const rounds = 21;
const batch = 128;

interface Layer {
  readonly name: string;
  /** channels, height, width */
  readonly x: readonly [number, number, number];
  /** outputs, channels per group, height, width */
  readonly w: readonly [number, number, number, number];
  readonly stride?: number;
  readonly pad?: number;
  readonly groups?: number;
}

const layers: readonly Layer[] = [
  { name: 'LeNet 1: 1→6, 5×5, 28²', x: [1, 28, 28], w: [6, 1, 5, 5], pad: 2 },
  { name: 'LeNet 2: 6→16, 5×5, 14²', x: [6, 14, 14], w: [16, 6, 5, 5] },
  { name: 'ResNet in: 3→16, 3×3, 32²', x: [3, 32, 32], w: [16, 3, 3, 3], pad: 1 },
  { name: 'ResNet 16→16, 3×3, 32²', x: [16, 32, 32], w: [16, 16, 3, 3], pad: 1 },
  { name: 'ResNet 16→16, 3×3, 16²', x: [16, 16, 16], w: [16, 16, 3, 3], pad: 1 },
  { name: 'ResNet 32→32, 3×3, 16²', x: [32, 16, 16], w: [32, 32, 3, 3], pad: 1 },
  { name: 'ResNet 64→64, 3×3, 8²', x: [64, 8, 8], w: [64, 64, 3, 3], pad: 1 },
  { name: 'ResNet 16→32, 3×3, 32², stride 2', x: [16, 32, 32], w: [32, 16, 3, 3], pad: 1, stride: 2 },
  { name: 'ResNet 16→32, 1×1, 32², stride 2', x: [16, 32, 32], w: [32, 16, 1, 1], stride: 2 },
  { name: 'pointwise 32→64, 16²', x: [32, 16, 16], w: [64, 32, 1, 1] },
  { name: 'pointwise 256→256, 4²', x: [256, 4, 4], w: [256, 256, 1, 1] },
  { name: 'depthwise 32, 3×3, 16²', x: [32, 16, 16], w: [32, 1, 3, 3], pad: 1, groups: 32 },
  { name: 'depthwise 32, 3×3, 16², stride 2', x: [32, 16, 16], w: [32, 1, 3, 3], pad: 1, stride: 2, groups: 32 },
  { name: '4 groups, 32→32, 3×3, 16²', x: [32, 16, 16], w: [32, 8, 3, 3], pad: 1, groups: 4 },
];

type Make = (context: GradientContext, axes: readonly WindowAxis[], groups: number) => Value;

const convRule = convolutionOps.Conv.gradient as GradientRule;

/** The rule itself first: the others' ratios are to what is chosen. */
const inputWays: Record<string, Make> = {
  chosen: (context) => convRule(context)[0] as Value,
  ConvTranspose: ({ b, dy, x }, axes, groups) => inputGradientByTranspose(b, dy, x(1), axes, groups),
  Conv: ({ b, dy, x }, axes, groups) => inputGradientByConv(b, dy, x(1), axes, groups),
};

const weightWays: Record<string, Make> = {
  chosen: (context) => convRule(context)[1] as Value,
  patches: ({ b, dy, x }, axes, groups) => weightGradientByPatches(b, x(0), dy, axes, groups),
  shifts: ({ b, dy, x }, axes) => weightGradientByShifts(b, x(0), dy, axes as unknown as [WindowAxis, WindowAxis]),
  images: ({ b, dy, x }, axes) => weightGradientByImages(b, x(0), dy, axes),
  Conv: ({ b, dy, x }, axes, groups) => weightGradientByConv(b, x(0), dy, axes, groups),
};

const otherWays: Record<string, Make> = {
  forward: ({ y }) => y,
  'patches alone': ({ b, x }, axes, groups) => patches(b, x(0), axes, groups),
};

/** What a way cannot compute. */
function applies(way: string, kind: 'input' | 'weight' | 'other', layer: Layer): boolean {
  const pointwise = layer.w[2] === 1 && layer.w[3] === 1;
  if (kind === 'input') return way !== 'Conv' || (layer.stride ?? 1) === 1;
  if (way === 'shifts') return (layer.stride ?? 1) === 1 && !layer.groups && !pointwise;
  return way !== 'images' || pointwise;
}

function attributesOf({ stride = 1, pad = 0, groups = 1 }: Layer): Attributes {
  return { strides: ints([stride, stride]), pads: ints([pad, pad, pad, pad]), group: int(groups) };
}

function draw(dims: readonly number[], name: string): TensorData {
  const elements = new Float32Array(elementCount(dims));
  random(1, name).fillNormal(elements, 0, 1);
  return tensor('float32', dims, elements);
}

const engine = await nodeEngine({ worker: false, threads });
for (const layer of layers) {
  const parts: string[] = [];
  for (const [kind, ways] of Object.entries({ other: otherWays, input: inputWays, weight: weightWays })) {
    const contenders = [];
    for (const [name, make] of Object.entries(ways)) {
      if (!applies(name, kind as 'input', layer)) continue;
      const b = new Builder();
      const x = b.input('x', 'float32', [batch, ...layer.x]);
      const w = b.input('w', 'float32', layer.w);
      const y = b.op('Conv', [x, w], attributesOf(layer));
      const dy = b.input('dy', 'float32', y.dims);
      const node = y.producer as Node;
      const context = gradientContext(
        b,
        node,
        [dy],
        () => true,
        () => [],
        vectorJacobianProduct,
      );
      const result = make(context, windowAxes(node, layer.x.slice(1), layer.w.slice(2)), layer.groups ?? 1);
      const feeds = { x: draw(x.dims, 'x'), w: draw(w.dims, 'w'), dy: draw(dy.dims, 'dy') };
      const program = await engine.compile(b.build(name, { result }));
      contenders.push({ name, run: () => program.run(feeds), program });
    }
    const timings = await takeTurns(contenders, { rounds });
    const columns = timings.map(({ name, medianMilliseconds }) => `${name} ${medianMilliseconds.toFixed(1)}`);
    parts.push(`  ${kind === 'other' ? '' : `${kind} gradient: `}${columns.join(', ')}`);
    for (const { program } of contenders) await program.release();
  }
  console.log(`${layer.name}, batch ${batch} [ms]\n${parts.join('\n')}`);
}
await engine.close();
