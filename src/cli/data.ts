// `cgfac data`: describes a data set.
import { Command, Option } from 'commander';
import { dataKinds, type LoadOptions } from '../data/spec.js';
import { debugFlag } from './debug-flag.js';
import { number } from './number.js';

const examples = `
If you train an .onnx file, the NumPy arrays that have the names of its inputs become its inputs. There is no model
here: name them with ?inputs=NAME,NAME.

Data
${dataKinds()
  .map((kind) => `  ${kind}`)
  .join('\n')}

Examples
  cgfac data digits
  cgfac data mnist:data/mnist
  cgfac data 'csv:wine.csv?label=quality'
  cgfac data 'npy:sentences.npz?inputs=input_ids,attention_mask&targets=labels'`;

export function command(): Command {
  return new Command('data')
    .description('Show what a data set contains')
    .argument('[spec]', 'the data set', 'digits')
    .addOption(
      new Option('--seed <n>', 'seed for random draws and splits')
        .argParser(number('--seed', { atLeast: 0, integer: true }))
        .default(0),
    )
    .addOption(debugFlag())
    .addHelpText('after', examples)
    .action(async (spec: string, { seed = 0 }: Pick<LoadOptions, 'seed'>) => {
      const { describeData } = await import('../data/describe.js');
      console.log((await describeData(spec, { seed })).join('\n'));
    });
}
