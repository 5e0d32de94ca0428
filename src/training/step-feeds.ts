// What the program of a step is fed beside its scalars: the batch, and fresh random numbers, both functions of the seed and the step.
import type { Batches } from '../data/batches.js';
import { elementCount, type TensorData } from '../graph/tensor.js';
import { type Random, random } from '../random.js';
import { batchFeeds, type NoiseInput } from './step-program.js';

/** Return the feeds of step k, counted from 0. */
export async function stepFeeds(
  batches: Pick<Batches, 'at'>,
  noise: readonly NoiseInput[],
  seed: number,
  k: number,
): Promise<Record<string, TensorData>> {
  const source = random(seed, 'step', k);
  return {
    ...batchFeeds(await batches.at(k)),
    ...Object.fromEntries(noise.map((each) => [each.name, drawn(each, source)])),
  };
}

function drawn({ dims, distribution }: NoiseInput, source: Random): TensorData {
  const data = new Float32Array(elementCount(dims));
  if (distribution === 'uniform') source.fillUniform(data);
  else if (distribution === 'normal') source.fillNormal(data);
  else source.fillSigns(data);
  return { dtype: 'float32', dims, data };
}
