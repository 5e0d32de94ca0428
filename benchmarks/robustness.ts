// How reliably optimizers with no options train problems that nobody tuned them for, beside Adam (best of 1e-3 and 1e-2).
// npm run bench:robustness -- [--problems 300] [--from 0] [--steps 200] [--optimizers cgfac,kfac] [--only TRAIT]
//   [--jobs 1] [--cache FILE] [--fresh] [--json FILE]
// One thread and one engine a job. Adam's results are kept in the cache, a file outside the repository.
import { fork } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { drawnProblem } from '../test/support/drawn-problems.js';
import { isAbove } from '../test/support/train-problem.js';
import { type ProblemResult, problemRunner, type Trained } from './robustness-run.js';
import { printSummary } from './robustness-summary.js';

const { values: flags } = parseArgs({
  options: {
    problems: { type: 'string', default: '300' },
    from: { type: 'string', default: '0' },
    steps: { type: 'string', default: '200' },
    optimizers: { type: 'string', default: 'cgfac,kfac' },
    only: { type: 'string', default: '' },
    jobs: { type: 'string', default: '1' },
    cache: { type: 'string', default: join(tmpdir(), 'robustness-adam.json') },
    fresh: { type: 'boolean', default: false },
    json: { type: 'string' },
    /** Given by the parent process: `1/2` is the second of two that share the problems. */
    share: { type: 'string' },
  },
});
const [from, count, steps, jobs] = [flags.from, flags.problems, flags.steps, flags.jobs].map(Number) as [
  number,
  number,
  number,
  number,
];
const optimizers = flags.optimizers.split(',');
const indices = Array.from({ length: count }, (_, i) => from + i).filter(
  (index) => !flags.only || drawnProblem(index).traits.some((trait) => trait.includes(flags.only)),
);
const cached: Record<string, readonly Trained[]> =
  !flags.fresh && existsSync(flags.cache) ? JSON.parse(readFileSync(flags.cache, 'utf8')) : {};

async function work(mine: readonly number[], report: (result: ProblemResult) => void): Promise<void> {
  const runner = await problemRunner({ steps, optimizers, cached });
  for (const index of mine) report(await runner.run(index));
  await runner.close();
}

function workInProcesses(report: (result: ProblemResult) => void): Promise<unknown> {
  const children = Array.from({ length: jobs }, (_, i) => {
    const child = fork(process.argv[1] ?? '', [...process.argv.slice(2), '--share', `${i}/${jobs}`]);
    child.on('message', (result) => report(result as ProblemResult));
    return new Promise<void>((resolve, reject) => {
      child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`job ${i} ended with code ${code}`))));
    });
  });
  return Promise.all(children);
}

/** Training and held-out losses relative to the lower of Adam's two, each. */
function printLine({ name, traits, first, adam, own, normalize }: ProblemResult): void {
  const best = (split: 'train' | 'test') => Math.min(...adam.map((run) => run[split] ?? Number.POSITIVE_INFINITY));
  const adamText = `adam ${best('train').toExponential(1)}/${best('test').toExponential(1)}`;
  const parts = own.map((run) => {
    if (run.train === null || run.test === null) return `${run.optimizer} NOT FINITE (${brief(run.error)})`;
    const above = isAbove(run, first) ? ' ABOVE FIRST' : '';
    const relative = (split: 'train' | 'test') => {
      const loss = run[split] ?? Number.NaN;
      return `x${(loss === best(split) ? 1 : loss / best(split)).toPrecision(3)}`;
    };
    return `${run.optimizer} ${relative('train')}/${relative('test')}${above}`;
  });
  const about = normalize ? traits : [...traits, 'raw'];
  console.log(`${name} [${about.join(', ')}] first ${first.train?.toExponential(1)} ${adamText} ${parts.join('  ')}`);
}

const brief = (error = 'the held-out loss'): string => error.split(':')[0] ?? error;

if (flags.share) {
  const [part = 0, of = 1] = flags.share.split('/').map(Number);
  await work(
    indices.filter((_, i) => i % of === part),
    (result) => process.send?.(result),
  );
  process.disconnect?.();
} else {
  const results: ProblemResult[] = [];
  const started = performance.now();
  const save = () => writeFileSync(flags.cache, JSON.stringify(cached));
  const report = (result: ProblemResult): void => {
    results.push(result);
    cached[result.key] = result.adam;
    printLine(result);
    if (results.length % 20 === 0) save();
  };
  await (jobs > 1 ? workInProcesses(report) : work(indices, report));
  save();
  results.sort((x, y) => x.index - y.index);
  if (flags.json) writeFileSync(flags.json, JSON.stringify(results));
  for (const optimizer of optimizers) printSummary(optimizer, results);
  console.log(`${results.length} problems, ${steps} steps, ${((performance.now() - started) / 1000).toFixed(0)} s`);
}
