#!/usr/bin/env node
// The program `cgfac`: finds the command, loads only that one, and turns errors into one line.
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../api/package-version.js';
import { CgfacError, messageOf, OptionError, TrainingError } from '../errors.js';
import { didYouMean } from '../suggest.js';

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<{ command(): Command }>;
}

const commands: Readonly<Record<string, Entry>> = {
  train: { summary: 'Train a model with one optimizer and save it', load: () => import('./train.js') },
  evaluate: { summary: 'Measure the loss and the metrics of a model on data', load: () => import('./evaluate.js') },
  predict: { summary: 'Predict pictures, rows and texts with a model', load: () => import('./predict.js') },
  compare: { summary: 'Train a model with several optimizers and compare them', load: () => import('./compare.js') },
  sweep: { summary: 'Train a model with many settings and find the best', load: () => import('./sweep.js') },
  report: { summary: 'Compare the runs of several folders on one page', load: () => import('./report.js') },
  watch: { summary: 'Follow the runs in a folder on a page in the browser', load: () => import('./watch.js') },
  inspect: { summary: 'Show the layers of a model and their Kronecker blocks', load: () => import('./inspect.js') },
  check: { summary: 'Check the gradients of a model against finite differences', load: () => import('./check.js') },
  'find-rate': { summary: 'Find a learning rate for an optimizer', load: () => import('./find-rate.js') },
  data: { summary: 'Show what a data set contains', load: () => import('./data.js') },
  optimizers: { summary: 'List the optimizers, or the options of one', load: () => import('./list-optimizers.js') },
  study: { summary: 'Measure costs, batch sizes and defaults over many runs', load: () => import('./study.js') },
  demo: { summary: 'Watch CG-FAC, K-FAC, Adam and SGD race on the built-in digits', load: () => import('./demo.js') },
};

/** Exit codes for bad input, and for training that failed. */
const exitCodes = { input: 2, training: 1 };

async function program(parameters: readonly string[]): Promise<Command> {
  const root = new Command('cgfac')
    .description('Train and fine-tune ONNX models with CG-FAC, a matrix-free second-order optimizer')
    .version(await packageVersion(), '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show help for a command')
    .addHelpText(
      'after',
      '\nStart with\n  cgfac demo\n  cgfac train autoencoder --data digits\n  cgfac train --help\n',
    );
  const wanted = parameters[0] === 'help' ? parameters[1] : parameters[0];
  if (parameters[0] === 'help' && wanted !== undefined && !Object.hasOwn(commands, wanted)) {
    const names = Object.keys(commands);
    throw new OptionError(`unknown command '${wanted}'${didYouMean(wanted, names)}; choose one of ${names.join(', ')}`);
  }
  for (const [name, { summary, load }] of Object.entries(commands)) {
    root.addCommand(name === wanted ? (await load()).command() : new Command(name).description(summary));
  }
  for (const each of [root, ...root.commands]) {
    each.exitOverride().configureOutput({ writeErr: () => undefined });
    each.configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 120) });
  }
  return root;
}

async function main(parameters: readonly string[]): Promise<void> {
  try {
    const root = await program(parameters);
    if (parameters.length === 0) root.outputHelp();
    else await root.parseAsync(parameters, { from: 'user' });
  } catch (error) {
    process.exitCode = report(error, parameters.includes('--debug'));
  }
}

/** Print an error in one line (with its stack for --debug) and return the exit code. */
function report(error: unknown, debug: boolean): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  const message = messageOf(error);
  const line = message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
  const isOurs = error instanceof CgfacError || error instanceof CommanderError;
  // Anything else is a defect of cgfac: a bug report needs its stack.
  const hint = isOurs ? '' : ' (this is a defect of cgfac: please report it with the output of --debug)';
  process.stderr.write(`cgfac: ${line}${hint}\n`);
  if (debug && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return error instanceof TrainingError || !isOurs ? exitCodes.training : exitCodes.input;
}

// If the reader of the output has gone (`head`, or a closed terminal), a run ends as after a hang-up: it is saved. A command that
// trains nothing just ends.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => process.emit('SIGHUP', 'SIGHUP'));

await main(process.argv.slice(2));
