// How many rows a layer's sketches have: by what they may cost of the step and of memory.
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerRows } from '../../curvature/statistics.js';
import { checkedCount, checkedNumber, checkKeys } from '../../options.js';

/** What a rank depends on. */
export interface LayerSize {
  /** Inputs of one group, without the bias. */
  readonly inputs: number;
  readonly outputs: number;
  /** Rows of activations of a whole batch: examples, times positions of sequences and pictures. */
  readonly batchRows: number;
  /** Examples that the curvature is measured on in a step. */
  readonly measured: number;
}

/** Decides the number of rows R of a layer's sketches. */
export interface RankRule {
  readonly name: string;
  rankOf(layer: LayerSize): number;
}

export interface BudgetOptions {
  /** Largest share of the arithmetic of the layer's gradient that its sketches add, above 0; 1/4 by default. */
  readonly time?: number;
  /** Largest size of the layer's sketches in units of the layer's weights, above 0; 1/4 by default. */
  readonly memory?: number;
  /**
   * Smallest rank, which goes before the budget; by default the number of examples that the curvature is measured on: fewer
   * rows would lose even what one step has measured.
   */
  readonly least?: number;
  /** Largest rank; 128 by default. */
  readonly most?: number;
}

/** Ranks are multiples of this, so that layers of similar sizes are solved together. */
const multiple = 8;

/**
 * Return ranks by a budget. For a layer of m inputs and n outputs, factored damping by R rows takes 8·R·m·n operations, the
 * gradient of B rows 6·B·m·n, and the sketches have R·(m + n) elements: R is at most 3/4·time·B and memory·mn/(m + n).
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ factors: sketches({ rank: byBudget({ time: 0.1, least: 8 }) }) });
 */
export function byBudget(options: BudgetOptions = {}): RankRule {
  checkKeys('byBudget', options, { time: true, memory: true, least: true, most: true });
  const time = checkedNumber('time', options.time ?? 1 / 4, { above: 0 });
  const memory = checkedNumber('memory', options.memory ?? 1 / 4, { above: 0 });
  const { least } = options;
  const most = checkedCount('most', options.most ?? Math.max(128, least ?? 1));
  if (least !== undefined) checkedCount('least', least, most);
  return {
    name: 'byBudget',
    rankOf({ inputs, outputs, batchRows, measured }) {
      const affordable = Math.min((6 / 8) * time * batchRows, (memory * inputs * outputs) / (inputs + outputs));
      return Math.min(most, Math.max(least ?? measured, multiple * Math.round(affordable / multiple)));
    },
  };
}

/** Return the rule of a rank that is the same for all layers. */
export const fixedRank = (rank: number): RankRule => ({ name: 'fixedRank', rankOf: () => rank });

/** Return the size of a block, whose rows are those of some examples of the batch. */
export function sizeOf(
  { inputs, outputs, uses }: KroneckerBlock,
  { inputs: rows }: LayerRows,
  batchSize: number,
): LayerSize {
  const measured = uses[0].preActivations.dims[0] ?? 1;
  return { inputs, outputs, batchRows: ((rows.values.dims.at(-2) ?? 1) / measured) * batchSize, measured };
}
