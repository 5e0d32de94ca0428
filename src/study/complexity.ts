// `study complexity`: time, iterations, state and peak memory of a step against width, batch, rank and depth of a chain of dense
// layers, with fitted exponents beside the formulas.
import { messageOf, TrainingError } from '../errors.js';
import { complexityPresentation } from './complexity-page.js';
import {
  type ComplexityResult,
  type ComplexityRow,
  complexityResult,
  contenderOf,
  period,
  type Shape,
  usualContenders,
  warmUp,
} from './complexity-result.js';
import { chainCost } from './formulas.js';
import { MeasuredProcess } from './measured-process.js';
import { median, periodMean } from './statistics.js';
import type { Cell, Study } from './study.js';

export interface ComplexityOptions {
  readonly optimizers: readonly string[];
  readonly base: Shape;
  readonly widths: readonly number[];
  readonly batches: readonly number[];
  readonly depths: readonly number[];
  readonly ranks: readonly number[];
  readonly threads: number;
  /** Periods of steps that are measured if these are quick; one is measured in any case. */
  readonly periods: number;
}

export const fullComplexity: Omit<ComplexityOptions, 'threads'> = {
  optimizers: usualContenders,
  base: { width: 1024, batch: 128, depth: 2 },
  widths: [256, 512, 1024, 2048, 4096],
  batches: [32, 64, 128, 256, 512, 1024],
  depths: [1, 2, 4, 8],
  ranks: [16, 32, 64, 128, 256],
  periods: 5,
};

export const quickComplexity: Omit<ComplexityOptions, 'threads'> = {
  optimizers: usualContenders,
  base: { width: 256, batch: 64, depth: 2 },
  widths: [128, 256, 512],
  batches: [32, 64, 128],
  depths: [1, 2, 3],
  ranks: [16, 32, 64],
  periods: 1,
};

/** Rows that were measured together, in turns. */
export interface ComplexityCell {
  readonly rows: readonly ComplexityRow[];
}

/** Milliseconds of measured steps after which no further period begins. */
const enough = 4000;

/** Return the study. @param script the program of the measuring processes */
export function complexityStudy(options: ComplexityOptions, script: URL): Study<ComplexityCell, ComplexityResult> {
  const { base, optimizers, threads, periods, widths, batches, depths, ranks } = options;
  const open = new Set<MeasuredProcess>();
  const measure = (shape: Shape, contenders: readonly RankedWord[]) => async (signal: AbortSignal) => {
    const rows = await measuredTogether(shape, contenders, { script, threads, periods, open, signal });
    return { rows };
  };
  const cells = new Map<string, Cell<ComplexityCell>>();
  const plain = optimizers.map((word): RankedWord => ({ word, rank: null }));
  for (const shape of shapesOf(options)) {
    const key = keyOf(shape);
    cells.set(key, { key, run: measure(shape, plain) });
  }
  if (ranks.length > 0) {
    const key = `${keyOf(base)}, ranks`;
    const ranked = ranks.map((rank): RankedWord => ({ word: `cgfac:rank=${rank}`, rank }));
    cells.set(key, { key, run: measure(base, ranked) });
  }
  return {
    name: 'complexity',
    title: 'What a step costs',
    options: { ...options },
    cells: [...cells.values()],
    result: (found) =>
      complexityResult(
        found.flatMap(({ rows }) => rows),
        { base, optimizers, values: { width: widths, batch: batches, depth: depths, rank: ranks } },
      ),
    present: complexityPresentation,
    async close() {
      for (const each of open) each.close();
    },
  };
}

interface RankedWord {
  readonly word: string;
  readonly rank: number | null;
}

const keyOf = ({ width, batch, depth }: Shape): string => `width ${width}, batch ${batch}, depth ${depth}`;

const sizesOf = ({ width, depth }: Shape): number[] => [784, ...Array.from({ length: depth }, () => width), 10];

/** The base and the shapes that differ from it along one axis. */
function shapesOf({ base, widths, batches, depths }: ComplexityOptions): Shape[] {
  return [
    ...widths.map((width) => ({ ...base, width })),
    ...batches.map((batch) => ({ ...base, batch })),
    ...depths.map((depth) => ({ ...base, depth })),
  ];
}

interface Together {
  readonly script: URL;
  readonly threads: number;
  readonly periods: number;
  readonly open: Set<MeasuredProcess>;
  readonly signal: AbortSignal;
}

/** Each optimizer in a process of its own, one step each in turns: A B C A B C …. */
async function measuredTogether(
  shape: Shape,
  contenders: readonly RankedWord[],
  { script, threads, periods, open, signal }: Together,
): Promise<ComplexityRow[]> {
  const runs = contenders.map(({ word, rank }) => ({
    word,
    rank,
    process: new MeasuredProcess(script),
    milliseconds: [] as number[],
    iterations: [] as number[],
    failed: undefined as string | undefined,
  }));
  for (const { process } of runs) open.add(process);
  const attempt = async (run: (typeof runs)[number], work: () => Promise<void>) => {
    if (run.failed !== undefined || signal.aborted) return;
    try {
      await work();
    } catch (error) {
      // What a process cannot do (too little memory, say) is a row of the table; anything else is a defect.
      if (!(error instanceof TrainingError)) throw error;
      run.failed = messageOf(error);
    }
  };
  const workload = { sizes: sizesOf(shape), batchSize: shape.batch, threads };
  try {
    // One after the other, so that the peak of one is not the swapping of another.
    for (const run of runs) {
      await attempt(run, async () => {
        await run.process.open({ ...workload, optimizer: run.word });
        await run.process.steps(warmUp);
      });
    }
    for (let count = 0; count < periods; count++) {
      if (count > 0 && sum(runs.flatMap(({ milliseconds }) => milliseconds)) > enough) break;
      for (let step = 0; step < period; step++) {
        for (const run of runs) {
          await attempt(run, async () => {
            const { milliseconds, iterations } = await run.process.steps(1);
            run.milliseconds.push(...milliseconds);
            run.iterations.push(...iterations);
          });
        }
      }
    }
    const rows: ComplexityRow[] = [];
    for (const run of runs) {
      const { word, rank, milliseconds, iterations } = run;
      let memory = { stateBytes: Number.NaN, peakBytes: Number.NaN };
      await attempt(run, async () => {
        memory = await run.process.memory();
      });
      const number = (value: number) => (run.failed === undefined && Number.isFinite(value) ? value : null);
      const { formula, published } = contenderOf(word);
      rows.push({
        optimizer: word,
        rank,
        ...shape,
        meanMilliseconds: number(periodMean(milliseconds, period)),
        medianMilliseconds: number(median(milliseconds)),
        iterations: number(sum(iterations) / iterations.length),
        steps: milliseconds.length,
        stateBytes: number(memory.stateBytes),
        peakBytes: number(memory.peakBytes),
        formula: formula && chainCost(formula, sizesOf(shape), shape.batch),
        ...(published && { published: chainCost(published, sizesOf(shape), shape.batch) }),
        ...(run.failed !== undefined && { failed: run.failed }),
      });
    }
    return rows;
  } finally {
    for (const { process } of runs) {
      process.close();
      open.delete(process);
    }
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
