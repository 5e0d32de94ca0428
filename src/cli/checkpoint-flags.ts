// The flags of checkpoints: how often they are written, how many stay, and which run goes on.
import { Option } from 'commander';
import { usualEvery, usualKeep } from '../api/checkpointing.js';
import { cadence, type Every } from '../training/cadence.js';
import { count, number } from './number.js';

export interface CheckpointFlags {
  readonly checkpointEvery: Every;
  readonly keep: number;
  /** False for `--no-checkpoints`. */
  readonly checkpoints: boolean;
  readonly resume?: string;
  readonly force?: boolean;
}

export const checkpointFlags = (): Option[] => [
  new Option(
    '--checkpoint-every <n>',
    'write the state of the run to checkpoints/ every so many steps, or as often as 30s, 5m or 2epochs',
  )
    .argParser((text) => {
      cadence('--checkpoint-every', text);
      return text;
    })
    .default(usualEvery)
    .conflicts('checkpoints'),
  new Option('--keep <n>', 'number of checkpoints to keep, the newest ones')
    .argParser(number('--keep', count))
    .default(usualKeep)
    .conflicts('checkpoints'),
  new Option('--no-checkpoints', 'write none: a run that is stopped cannot go on'),
  new Option(
    '--resume <dir>',
    'go on with the run in a folder from its newest checkpoint, with its own options; --steps or --epochs may be raised',
  ).conflicts(['out', 'overwrite']),
  new Option('--force', 'resume although data, options, threads or versions have changed'),
];
