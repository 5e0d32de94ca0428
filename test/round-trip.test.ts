// Whole training steps, with their loops and branches, survive being written and read: the bytes are the same again.
import { describe, expect, it } from 'vitest';
import { lossOf } from '../src/losses/index.js';
import { autoencoder, mlp } from '../src/nn/zoo.js';
import { encodeModel } from '../src/onnx/encode/writer.js';
import { semantics } from '../src/ops/table.js';
import { adam } from '../src/optimizers/adam.js';
import { cgfac } from '../src/optimizers/second-order/cgfac.js';
import { sketches } from '../src/optimizers/second-order/factors.js';
import { kfac } from '../src/optimizers/second-order/kfac.js';
import { primal } from '../src/optimizers/second-order/primal.js';
import { tikhonov } from '../src/optimizers/second-order/tikhonov.js';
import { buildStep } from '../src/training/step-program.js';
import { decodeModel } from './support/decode-model.js';
import { manyExamples } from './support/setting.js';

describe('a training step', () => {
  it.each([
    adam(),
    kfac(),
    cgfac(),
    cgfac({ damping: primal() }),
    cgfac({ damping: tikhonov(), factors: sketches({ rank: 4 }) }),
  ])('of $name is read back as it was written', (optimizer) => {
    const classifier = {
      model: mlp({ seed: 1, sizes: [9, 8, 7] }),
      loss: lossOf('softmax-cross-entropy'),
      metric: lossOf('softmax-cross-entropy').metric,
      inputs: { dtype: 'float32', shape: [6, 9] },
      targets: { dtype: 'int64', shape: [6] },
    } as const;
    const reconstruction = {
      model: autoencoder({ seed: 1, sizes: [9, 5, 3] }),
      loss: lossOf('sigmoid-cross-entropy'),
      metric: lossOf('sigmoid-cross-entropy').metric,
      inputs: { dtype: 'float32', shape: [6, 9] },
      targets: { dtype: 'float32', shape: [6, 9] },
    } as const;
    for (const task of [classifier, reconstruction]) {
      const written = encodeModel(buildStep({ ...task, optimizer, setting: manyExamples(task.loss) }).graph);
      const again = encodeModel(decodeModel(written, semantics).graph);
      expect(Buffer.compare(again, written)).toBe(0);
    }
  });
});
