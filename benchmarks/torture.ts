// Kills runs of the command line at random instants, resumes them until they are done, and compares what they leave with runs that
// were never stopped: the same bytes of model.onnx, the same lines of metrics.jsonl but for their seconds.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveModel } from '../src/api/load-save.js';
import type { Model } from '../src/model/model.js';
import { Network } from '../src/nn/network.js';
import { random } from '../src/random.js';

export interface TortureOptions {
  /** Processes to kill, over all cases. */
  readonly kills: number;
  readonly seed: number;
  /** The program to start: the built `cli/main.js`. */
  readonly program: string;
  readonly threads: readonly number[];
  /** Most kills of one run, which is then left alone; 8 by default. */
  readonly most?: number;
  /** Told after each run. */
  readonly say: (line: string) => void;
}

export interface TortureResult {
  readonly kills: number;
  /** Runs that were killed at least once and finished. */
  readonly runs: number;
  /** What went wrong, a sentence each. */
  readonly failures: readonly string[];
}

interface Case {
  readonly name: string;
  readonly parameters: readonly string[];
}

/** What a run that was never stopped leaves, and how long it took. */
interface Reference {
  readonly left: Left;
  /** Milliseconds until the first step was logged, and until the end. */
  readonly first: number;
  readonly whole: number;
}

interface Left {
  readonly model: Buffer;
  readonly metrics: string;
}

/** LeNet with what remembers and draws more than weights: running averages and random masks. */
function normalizedLenet(): Model {
  const network = new Network('normalized-lenet', { seed: 5 });
  const { b } = network;
  let x = network.input('input', [1, 28, 28]);
  x = network.maxPool2d(b.relu(network.batchNorm(network.conv2d(x, 'conv1', 6, { kernel: 5, padding: 2 }), 'norm1')));
  x = network.maxPool2d(b.relu(network.batchNorm(network.conv2d(x, 'conv2', 8, { kernel: 5 }), 'norm2')));
  x = network.dropout(b.relu(network.dense(b.op('Flatten', [x]), 'fc1', 32)), 'dropout', 0.3);
  return network.model(network.dense(x, 'fc2', 10));
}

/** The runs: two optimizers on three kinds of networks, a few seconds each. */
async function casesIn(folder: string, threads: readonly number[]): Promise<Case[]> {
  const [lenet, book] = [join(folder, 'lenet.onnx'), join(folder, 'book.txt')];
  await saveModel(normalizedLenet(), lenet);
  await writeFile(book, 'the cat sat on the mat, and the dog sat on the log. '.repeat(60));
  const digits = ['--data', 'digits?train=300&test=60', '--batch-size', '20'];
  const models: Readonly<Record<string, readonly string[]>> = {
    mlp: ['mlp:hidden=32', ...digits, '--steps', '150', '--validation', '0.1'],
    lenet: [lenet, ...digits, '--steps', '50', '--augment', 'crop=2'],
    transformer: [
      ...['char-transformer:layers=1:width=16:heads=2', '--data', `text:${book}?context=8`],
      ...['--batch-size', '16', '--steps', '80'],
    ],
  };
  const kinds = Object.entries(models).flatMap(([model, parameters]) =>
    ['cgfac', 'adam'].map((optimizer) => ({ model, optimizer, parameters })),
  );
  // Neighbours have other numbers of threads: a few runs already show all of them.
  return threads.flatMap((_, round) =>
    kinds.map(({ model, optimizer, parameters }, i) => {
      const count = threads[(i + Math.floor(i / 2) + round) % threads.length];
      return {
        name: `${optimizer} on ${model}, ${count === 1 ? '1 thread' : `${count} threads`}`,
        parameters: ['train', ...parameters, '--optimizer', optimizer, '--seed', '3', '--threads', String(count)],
      };
    }),
  );
}

/** Kill runs, and return what went wrong. */
export async function torture(options: TortureOptions): Promise<TortureResult> {
  const folder = await mkdtemp(join(tmpdir(), 'cgfac-torture-'));
  try {
    return await tortureIn(folder, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function tortureIn(folder: string, options: TortureOptions): Promise<TortureResult> {
  const { program, threads, most = 8, say } = options;
  const draws = random(options.seed, 'torture', 0);
  const cases = await casesIn(folder, threads);
  const references = new Map<Case, Reference>();
  const failures: string[] = [];
  let [kills, runs] = [0, 0];
  for (let turn = 0; kills < options.kills; turn++) {
    const each = cases[turn % cases.length] as Case;
    const reference = references.get(each) ?? (await referenceOf(each, program, join(folder, `reference-${turn}`)));
    references.set(each, reference);
    const out = join(folder, 'killed');
    await rm(out, { recursive: true, force: true });
    const allowed = { most: Math.min(most, options.kills - kills), draw: () => draws.uniform() };
    const run = await killedRun(each, { program, out, reference, ...allowed });
    kills += run.kills;
    runs += 1;
    const failure = run.failure ?? (await differenceOf(out, reference.left));
    if (failure !== undefined) failures.push(`${each.name}, run ${turn + 1} (${run.kills} kills): ${failure}`);
    say(`${kills} of ${options.kills} kills: ${each.name}, ${run.kills} here, ${failure ?? 'the same bits'}`);
  }
  return { kills, runs, failures };
}

async function referenceOf({ name, parameters }: Case, program: string, out: string): Promise<Reference> {
  await mkdir(out);
  const began = performance.now();
  const child = started(program, [...parameters, '--out', out]);
  let first: number | undefined;
  const watch = setInterval(() => {
    if (existsSync(join(out, 'metrics.jsonl'))) first ??= performance.now() - began;
  }, 10);
  const { code, stderr } = await ended(child);
  clearInterval(watch);
  if (code !== 0) throw new Error(`${name} fails without being killed: ${stderr}`);
  const whole = performance.now() - began;
  return { left: await leftIn(out), first: first ?? whole, whole };
}

interface KilledRun {
  readonly program: string;
  readonly out: string;
  readonly reference: Reference;
  readonly most: number;
  /** A number in [0, 1). */
  readonly draw: () => number;
}

/** Start a run, kill it, resume it, until it is done or was killed as often as it may be. */
async function killedRun(
  { parameters }: Case,
  { program, out, reference: { first, whole }, most, draw }: KilledRun,
): Promise<{ readonly kills: number; readonly failure?: string }> {
  for (let kills = 0; ; kills++) {
    // How often checkpoints are written must make no difference.
    const every = ['--checkpoint-every', String([1, 2, 5, 20][Math.floor(4 * draw())])];
    const resumed = existsSync(join(out, 'config.json'));
    const child = started(program, [
      ...(resumed ? ['train', '--resume', out] : [...parameters, '--out', out]),
      ...every,
    ]);
    // What is left of the run gets shorter.
    const delay = 0.5 * first + (draw() * (whole - 0.5 * first)) / (1 + kills / 3);
    const timer = kills < most ? setTimeout(() => child.kill('SIGKILL'), delay) : undefined;
    const { code, signal, stderr } = await ended(child);
    clearTimeout(timer);
    // It may be killed when all is done.
    if (signal === 'SIGKILL' && (await isFinished(out))) return { kills: kills + 1 };
    if (signal === 'SIGKILL') continue;
    return code === 0 ? { kills } : { kills, failure: `it ended with ${signal ?? code}: ${stderr.slice(-500)}` };
  }
}

async function isFinished(out: string): Promise<boolean> {
  const manifest = await readFile(join(out, 'run.json'), 'utf8').catch(() => '{}');
  return (JSON.parse(manifest) as { readonly state?: unknown }).state === 'finished';
}

const started = (program: string, parameters: readonly string[]): ChildProcess =>
  spawn(process.execPath, [program, ...parameters], { stdio: ['ignore', 'ignore', 'pipe'] });

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

const ended = (child: ChildProcess): Promise<Ended> =>
  new Promise((resolve, reject) => {
    let stderr = '';
    child.stderr?.on('data', (text) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stderr }));
  });

async function leftIn(out: string): Promise<Left> {
  const metrics = await readFile(join(out, 'metrics.jsonl'), 'utf8');
  return { model: await readFile(join(out, 'model.onnx')), metrics: metrics.replace(/"seconds":[^,]+,/g, '') };
}

/** How what a run left differs from what it should be, in words. */
async function differenceOf(out: string, expected: Left): Promise<string | undefined> {
  const { model, metrics } = await leftIn(out);
  if (metrics !== expected.metrics) {
    const [found, wanted] = [metrics.split('\n'), expected.metrics.split('\n')];
    const line = wanted.findIndex((text, i) => text !== found[i]);
    return `line ${line + 1} of metrics.jsonl is ${found[line] ?? 'missing'}, and was ${wanted[line] ?? 'none'}`;
  }
  return model.equals(expected.model) ? undefined : 'model.onnx has other bytes';
}
