// `--batch-size auto`: the size is found by trial before a run, and is a number from then on.
import { totalmem } from 'node:os';
import { nodeEngine } from '../engine/node.js';
import { formatBytes, formatCount } from '../format.js';
import { largestBatch, trialOf } from '../training/batch-probe.js';
import { makePlan, optimizerFor } from './experiment.js';
import type { RunFlags } from './flags.js';
import { sharedOptions } from './optimizers.js';

/** Share of the machine's memory that a run may take. */
const mostShare = 0.5;
/** Schedules, and what waits, need steps; their numbers do not matter in trials. */
const mostTrialSteps = 1e6;

/**
 * Return the flags with a number for the batch size, and a sentence that says which and why.
 * @param spec the optimizer
 */
export async function withBatchSize<Flags extends RunFlags>(
  modelName: string,
  spec: string,
  flags: Flags,
): Promise<{ readonly flags: Flags; readonly notes: readonly string[] }> {
  if (flags.batchSize !== 'auto') return { flags, notes: [] };
  const { batchSize: _, ...others }: RunFlags = flags;
  const plan = await makePlan(modelName, { ...others, steps: mostTrialSteps });
  const shared = sharedOptions(flags);
  const engine = await nodeEngine(flags.threads === undefined ? {} : { threads: flags.threads });
  try {
    const found = await largestBatch(
      {
        mostBytes: mostShare * totalmem(),
        needsThroughput: true,
        trial: async (size) => {
          const { optimizer } = optimizerFor({ ...plan, batchSize: size }, spec, shared);
          const augment = flags.augment && { augment: flags.augment };
          const options = { engine, optimizer, seed: flags.seed, ...augment };
          return await trialOf(plan.model, plan.task, options, size, () => process.memoryUsage().rss);
        },
      },
      plan.task.data.train.size,
    );
    const { throughput, bytes, reason } = found;
    const note = `Batches of ${found.batchSize}: ${formatCount(Math.round(throughput))} examples a second with ${formatBytes(bytes)}; ${reason}. Give --batch-size ${found.batchSize} to repeat the run.`;
    return { flags: { ...flags, batchSize: found.batchSize }, notes: [note] };
  } finally {
    await engine.close();
  }
}
