// The moving averages of a block's Kronecker factors A and G: sketches of R rows, or the factors themselves.
import {
  averaged,
  averageFactor,
  averageRows,
  type Decay,
  factorDims,
  foldRows,
  joinedRows,
} from '../../curvature/factors/moving-average.js';
import {
  denseInputSide,
  denseOutputSide,
  diagonalInputSide,
  type InputSide,
  inputRowsSide,
  type OutputSide,
  outputRowsSide,
  sideForms,
} from '../../curvature/factors/sides.js';
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import { checkedCount, checkedNumber, checkKeys } from '../../options.js';
import { decayOf } from '../averages.js';
import type { StepContext } from '../optimizer.js';
import { checkedObject } from '../options.js';
import { KroneckerOperator } from './kronecker-operator.js';
import { fixedRank, type RankRule, sizeOf } from './rank.js';

/** Returns the factors of a block in a step, from its rows. */
export type OperatorOf = (each: { readonly block: KroneckerBlock; readonly rows: LayerRows }) => KroneckerOperator;

export interface Factors {
  readonly name: string;
  /** Whether they are the factors themselves, whose inverses can be kept while they change. */
  readonly areWhole?: true | undefined;
  /** Steps between inversions of the factors; left out if they are inverted in each step. */
  readonly inverseInterval?: number | undefined;
  /** Begin the factors of a run; the function that is returned adds a block's rows to its moving averages. */
  begin(context: StepContext): OperatorOf;
}

/** Factors that are inverted in each step. */
export type FreshFactors = Factors & { readonly inverseInterval?: undefined };
/** The factors themselves. */
export type WholeFactors = Factors & { readonly areWhole: true };

/** Rows R of a sketch by default. */
export const defaultRank = 128;

export interface DenseFactorsOptions {
  /** Largest weight ρ of the past in the moving averages; 0 uses this batch alone. 0.95 by default. */
  readonly decay?: number;
}

export interface SketchesOptions extends DenseFactorsOptions {
  /**
   * Rows R of a sketch; the factor of a side with at most R inputs or outputs is dense. A number for all layers, 128 by
   * default, or a rule such as `byBudget()`.
   */
  readonly rank?: number | RankRule;
}

export interface KeptInverses {
  /** Steps between inversions, after the first three, which invert each time; by default 20 in `kfac`, 1 in `cgfac`. */
  readonly inverseInterval: number;
}

const checkedDecay = (decay = 0.95): number => checkedNumber('decay', decay, { atLeast: 0, below: 1 });

/**
 * Return sketches: moving averages of R rows for large factors, whose Gram matrices are inverted; small factors are dense.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ factors: sketches({ rank: 64, decay: 0.9 }) });
 */
export function sketches(options: SketchesOptions = {}): FreshFactors {
  checkKeys('sketches', options, { rank: true, decay: true });
  const { rank = defaultRank } = options;
  const rule = typeof rank === 'number' ? fixedRank(checkedCount('rank', rank)) : checkedRule(rank);
  const decay = checkedDecay(options.decay);
  return { name: 'sketches', begin: (context) => operatorsOf(context, rule, decay) };
}

/**
 * Return the factors themselves, m×m and n×n, as in K-FAC (Martens & Grosse 2015).
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = kfac({ factors: dense({ decay: 0.9, inverseInterval: 10 }) });
 */
export function dense(options?: DenseFactorsOptions): WholeFactors & FreshFactors;
export function dense(options: DenseFactorsOptions & KeptInverses): WholeFactors;
export function dense(options: DenseFactorsOptions & Partial<KeptInverses> = {}): WholeFactors {
  checkKeys('dense', options, { decay: true, inverseInterval: true });
  const decay = checkedDecay(options.decay);
  const interval = options.inverseInterval;
  return {
    name: 'dense',
    areWhole: true,
    ...(interval !== undefined && { inverseInterval: checkedCount('inverseInterval', interval) }),
    begin: (context) => operatorsOf(context, fixedRank(Number.POSITIVE_INFINITY), decay),
  };
}

/** @throws OptionError for anything but a rule, and for a rank of an own rule that is none */
function checkedRule(given: RankRule): RankRule {
  const rule = checkedObject('rank', given, 'rankOf', ['byBudget']) ?? given;
  return { name: rule.name, rankOf: (layer) => checkedCount(`the rank of ${rule.name}()`, rule.rankOf(layer)) };
}

function operatorsOf(context: StepContext, rule: RankRule, decay: number): OperatorOf {
  const average = decay > 0 ? decayOf(context, 'factors', decay) : undefined;
  return ({ block, rows }) => {
    const rank = rule.rankOf(sizeOf(block, rows, context.objective.batchSize));
    const sides = new BlockSides(context, block, rank, average);
    // Signs are drawn in the order in which they are declared: the outputs' first.
    const outputs = sides.outputs(rows);
    return new KroneckerOperator(sides.inputs(rows), outputs);
  };
}

/** The two sides of a block, with this step's rows in their moving averages. */
class BlockSides {
  readonly #context: StepContext;
  readonly #block: KroneckerBlock;
  readonly #rank: number;
  readonly #forms: ReturnType<typeof sideForms>;
  readonly #decay: Decay | undefined;

  /** @param decay undefined for this batch alone */
  constructor(context: StepContext, block: KroneckerBlock, rank: number, decay: Decay | undefined) {
    this.#context = context;
    this.#block = block;
    this.#rank = rank;
    this.#forms = sideForms(block, rank);
    this.#decay = decay;
  }

  inputs({ inputs, diagonal }: LayerRows): InputSide {
    const { b } = this.#context;
    if (diagonal) return diagonalInputSide(b, this.#diagonal(diagonal));
    if (this.#forms.inputs === 'dense') return denseInputSide(b, this.#dense('A', joinedRows(b, inputs)));
    const { values, homogeneous } = inputs;
    // Both are columns of the same rows and have the same signs.
    const signs = this.#signs('inputs', values);
    const sketched = {
      values: this.#sketch('activations', values, signs),
      homogeneous: homogeneous && this.#sketch('homogeneous', homogeneous, signs),
    };
    return inputRowsSide(b, sketched, this.#block.inputs + (homogeneous ? 1 : 0));
  }

  outputs({ outputs }: LayerRows): OutputSide {
    const { b } = this.#context;
    return this.#forms.outputs === 'dense'
      ? denseOutputSide(b, this.#dense('G', outputs))
      : outputRowsSide(b, this.#sketch('gradients', outputs, this.#signs('outputs', outputs)));
  }

  #dense(name: string, rows: Value): Value {
    const { b } = this.#context;
    return this.#decay
      ? this.#average(name, factorDims(rows), (old, decay) => averageFactor(b, old, rows, decay))
      : b.gemm(rows, rows, undefined, { transposeX: true });
  }

  #diagonal(values: Value): Value {
    const { b } = this.#context;
    return this.#decay ? this.#average('A', values.dims, (old, decay) => averaged(b, old, values, decay)) : values;
  }

  /** @param signs called only if signs are needed */
  #sketch(name: string, rows: Value, signs: () => Value): Value {
    const { b } = this.#context;
    const rank = this.#rank;
    if (this.#decay) {
      const dims = [...rows.dims.slice(0, -2), rank, rows.dims.at(-1) ?? 1];
      return this.#average(name, dims, (old, decay) => averageRows(b, old, rows, signs(), decay));
    }
    return (rows.dims.at(-2) ?? 1) <= rank ? rows : foldRows(b, b.mul(rows, signs()), rank);
  }

  /** The sides have different numbers of rows: the exact Fisher has several gradients for each example. */
  #signs(side: string, rows: Value): () => Value {
    let drawn: Value | undefined;
    return () => {
      drawn ??= this.#context.noise(`signs.${side}.${this.#block.weight}`, [rows.dims.at(-2) ?? 1, 1], 'sign');
      return drawn;
    };
  }

  #average(name: string, dims: readonly number[], next: (old: Value, decay: Decay) => Value): Value {
    const decay = this.#decay;
    if (!decay) throw new Error('an average has a decay');
    return this.#context.state(`${name}.${this.#block.weight}`, dims, (old) => next(old, decay));
  }
}
