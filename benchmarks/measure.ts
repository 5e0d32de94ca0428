// Fair timing on a noisy machine: the contenders take turns, and medians and ratios of the same run are reported.

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
