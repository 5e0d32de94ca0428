// Fair timing on a noisy machine: the contenders take turns, and medians and ratios of the same run are reported.

/** Ends the process with how the benchmark is called. */
export function usage(...lines: readonly string[]): never {
  process.stderr.write(`usage: ${lines.join('\n       ')}\n`);
  process.exit(2);
}

/** Numbers as they were typed, all of them above 0; undefined where one is none. */
export function positive(texts: readonly string[]): number[] | undefined {
  const numbers = texts.map(Number);
  return numbers.every((number) => number > 0) ? numbers : undefined;
}

export interface Contender {
  readonly name: string;
  /** It takes its turn only every so many rounds: for slow ones, all of whose runs cost the same. 1 if left out. */
  readonly everyRounds?: number;
  run(): Promise<unknown>;
}

export interface Timing {
  readonly name: string;
  readonly medianMilliseconds: number;
  /** The mean over the positions in a period of the medians over all periods: what is done once in a period counts. */
  readonly meanMilliseconds: number;
  /** Median of the ratios to the first contender, each of the same round. */
  readonly ratio: number;
}

export interface Rounds {
  /** Rounds that are measured. */
  readonly rounds: number;
  /** Rounds before them that are not. */
  readonly warmUp?: number;
  /** Rounds after which a contender does the same again; it divides warmUp and rounds if above 1. */
  readonly period?: number;
  /** Returns milliseconds: the time of day if left out. */
  readonly clock?: () => number;
}

/** Milliseconds that the processors worked for this process: what others do meanwhile matters less to it. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}

/** Rounds of A B C, A B C, …. */
export async function takeTurns(
  contenders: readonly Contender[],
  { rounds, warmUp = 9, period = 1, clock = () => performance.now() }: Rounds,
): Promise<Timing[]> {
  const times = contenders.map((): Map<number, number> => new Map());
  for (let round = 0; round < rounds + warmUp; round++) {
    for (const [i, { everyRounds = 1, run }] of contenders.entries()) {
      if (round % everyRounds !== 0) continue;
      const started = clock();
      await run();
      if (round >= warmUp) times[i]?.set(round, clock() - started);
    }
  }
  const first = times[0] ?? new Map<number, number>();
  return contenders.map(({ name }, i) => {
    const own = [...(times[i] ?? [])];
    const positions = Array.from({ length: period }, (_, position) =>
      own.filter(([round]) => round % period === position).map(([, time]) => time),
    ).filter(({ length }) => length > 0);
    return {
      name,
      medianMilliseconds: median(own.map(([, time]) => time)),
      meanMilliseconds: mean(positions.map(median)),
      ratio: median(own.map(([round, time]) => time / (first.get(round) ?? 1))),
    };
  });
}

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, x) => sum + x, 0) / numbers.length;

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((x, y) => x - y);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/**
 * Lets several runs in one process take turns, so that each has the machine to itself while its clock runs: whoever has
 * used the least time goes next. A run calls `step` after each of its steps and waits for it, and `leave` at its end.
 */
export class Turns {
  readonly #clocks = new Map<string, number>();
  readonly #waiting = new Map<string, () => void>();

  /** @param names of the runs, all of which are about to start */
  constructor(names: readonly string[]) {
    for (const name of names) this.#clocks.set(name, 0);
  }

  /** Seconds that a run has used. */
  clock(name: string): number {
    return this.#clocks.get(name) ?? 0;
  }

  step(name: string, seconds: number): Promise<void> {
    this.#clocks.set(name, seconds);
    const turn = new Promise<void>((resolve) => this.#waiting.set(name, resolve));
    this.#next();
    return turn;
  }

  leave(name: string): void {
    this.#clocks.delete(name);
    this.#next();
  }

  #next(): void {
    if (this.#waiting.size < this.#clocks.size) return; // somebody is running
    const [first] = [...this.#waiting].sort(([x], [y]) => this.clock(x) - this.clock(y));
    if (!first) return;
    this.#waiting.delete(first[0]);
    first[1]();
  }
}
