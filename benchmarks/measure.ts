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
  run(): Promise<unknown>;
}

export interface Timing {
  readonly name: string;
  readonly medianMilliseconds: number;
  /** Median of the ratios to the first contender, each of the same round. */
  readonly ratio: number;
}

/** Rounds of A B C, A B C, …; the first `warmUp` rounds are not counted. */
export async function takeTurns(contenders: readonly Contender[], rounds: number, warmUp = 9): Promise<Timing[]> {
  const times = contenders.map((): number[] => []);
  for (let round = 0; round < rounds + warmUp; round++) {
    for (const [i, contender] of contenders.entries()) {
      const started = performance.now();
      await contender.run();
      if (round >= warmUp) times[i]?.push(performance.now() - started);
    }
  }
  const first = times[0] ?? [];
  return contenders.map(({ name }, i) => {
    const own = times[i] ?? [];
    return { name, medianMilliseconds: median(own), ratio: median(own.map((time, k) => time / (first[k] ?? 1))) };
  });
}

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
