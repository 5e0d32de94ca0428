// A process of its own for each optimizer that is measured: its peak memory is the optimizer's. The processes take turns, so
// that each has the machine to itself while its clock runs.
import { type ChildProcess, fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { nodeEngine } from '../engine/node.js';
import { messageOf, TrainingError } from '../errors.js';
import { lossOf } from '../losses/index.js';
import { mlp } from '../nn/zoo.js';
import { DrawnTensors, openStepper, type Stepper, settingOf } from './stepper.js';
import type { Optimizers } from './study.js';

/** A chain of dense layers with ReLU on drawn inputs and labels. */
export interface ChainWorkload {
  readonly sizes: readonly number[];
  readonly batchSize: number;
  readonly optimizer: string;
  readonly threads: number;
}

/** The times of some steps, and what they reported. */
export interface MeasuredSteps {
  readonly milliseconds: readonly number[];
  /** Iterations of conjugate gradients; empty if none were reported. */
  readonly iterations: readonly number[];
}

export interface MeasuredMemory {
  readonly stateBytes: number;
  /** Most memory of the process, less what it had with its runtime before the model. */
  readonly peakBytes: number;
}

type Request =
  | { readonly kind: 'open'; readonly workload: ChainWorkload }
  | { readonly kind: 'steps'; readonly count: number }
  | { readonly kind: 'memory' };
type Reply = { readonly value: unknown } | { readonly error: string };

/** The parent's side. */
export class MeasuredProcess {
  readonly #child: ChildProcess;
  #waiting: ((reply: Reply) => void) | undefined;
  #ended: string | undefined;

  /** @param script runs `serveMeasurements` */
  constructor(script: URL) {
    this.#child = fork(script, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#child.on('message', (reply: Reply) => this.#answer(reply));
    this.#child.on('error', (error) => this.#end(messageOf(error)));
    this.#child.on('exit', (code, signal) =>
      this.#end(
        signal === null
          ? `its process ended with code ${code}`
          : `its process was ended by ${signal} (the system may lack memory)`,
      ),
    );
  }

  async open(workload: ChainWorkload): Promise<void> {
    await this.#ask({ kind: 'open', workload });
  }

  async steps(count: number): Promise<MeasuredSteps> {
    return (await this.#ask({ kind: 'steps', count })) as MeasuredSteps; // the other side is below
  }

  async memory(): Promise<MeasuredMemory> {
    return (await this.#ask({ kind: 'memory' })) as MeasuredMemory;
  }

  /** End the process, whatever it is doing. */
  close(): void {
    this.#child.kill('SIGKILL');
  }

  /** @throws TrainingError with the reason if the process cannot do it */
  async #ask(request: Request): Promise<unknown> {
    const reply = await new Promise<Reply>((resolve) => {
      this.#waiting = resolve;
      if (this.#ended === undefined) this.#child.send(request, (error) => error && this.#end(messageOf(error)));
      else this.#answer({ error: this.#ended });
    });
    if ('error' in reply) throw new TrainingError(reply.error);
    return reply.value;
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    this.#answer({ error: this.#ended });
  }

  #answer(reply: Reply): void {
    this.#waiting?.(reply);
    this.#waiting = undefined;
  }
}

/** The child's side: answer the parent's requests until it goes. */
export function serveMeasurements({ make }: Pick<Optimizers, 'make'>): void {
  let opened: { readonly stepper: Stepper; readonly baseline: number } | undefined;
  const handle = async (request: Request): Promise<unknown> => {
    if (request.kind === 'open') {
      opened = await openedWorkload(request.workload, make);
      return undefined;
    }
    if (!opened) throw new Error('no workload is open');
    if (request.kind === 'memory') {
      const { stepper, baseline } = opened;
      return { stateBytes: stepper.stateBytes, peakBytes: (await peakBytes()) - baseline } satisfies MeasuredMemory;
    }
    return await timedSteps(opened.stepper, request.count);
  };
  process.on('message', (request: Request) => {
    handle(request).then(
      (value) => process.send?.({ value }),
      (error: unknown) => process.send?.({ error: messageOf(error) }),
    );
  });
  process.on('disconnect', () => process.exit(0));
  // The parent decides what an interruption means.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
}

async function openedWorkload({ sizes, batchSize, optimizer, threads }: ChainWorkload, make: Optimizers['make']) {
  const engine = await nodeEngine({ threads, worker: false });
  const baseline = process.memoryUsage.rss();
  const draws = new DrawnTensors(1);
  const workload = {
    model: mlp({ sizes, seed: 1 }),
    loss: lossOf('softmax-cross-entropy'),
    input: draws.uniform([batchSize, sizes[0] ?? 1]),
    target: draws.integers([batchSize], sizes.at(-1) ?? 1),
  };
  const stepper = await openStepper(engine, workload, make(optimizer, settingOf(workload)));
  return { stepper, baseline };
}

async function timedSteps(stepper: Stepper, count: number): Promise<MeasuredSteps> {
  const milliseconds: number[] = [];
  const iterations: number[] = [];
  for (let step = 0; step < count; step++) {
    const started = performance.now();
    const reported = await stepper.run();
    milliseconds.push(performance.now() - started);
    if (Number.isFinite(reported.iterations)) iterations.push(Number(reported.iterations));
  }
  return { milliseconds, iterations };
}

/** Most memory that this process has had. Linux lets a child begin with its parent's `maxRSS`: its own peak is in /proc. */
export async function peakBytes(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8').catch(() => '');
  const [, kilobytes] = /^VmHWM:\s*(\d+) kB$/m.exec(status) ?? [];
  return 1024 * (kilobytes === undefined ? process.resourceUsage().maxRSS : Number(kilobytes));
}
