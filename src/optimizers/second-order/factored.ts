// Factored Tikhonov damping (Martens & Grosse 2015, section 6.3): (A + π√λ I)⁻¹ ⊗ (G + √λ/π I)⁻¹, by inverses of the sides.
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkedNumber, checkKeys } from '../../options.js';
import type { StepContext } from '../optimizer.js';
import type { BlockGradient } from './block.js';
import { type BlockDamping, type FactorDamping, rootDampingOf } from './damping.js';
import { invertedDampers, type KroneckerOperator } from './kronecker-operator.js';
import { measuredOperators } from './measured-operators.js';
import { refreshed } from './refresh.js';

export interface FactoredOptions {
  /**
   * π: the damping of A is π√λ, that of G √λ/π. By default `π² = (tr A/m)/(tr G/n)` for each block; 1 damps both factors
   * alike, by √λ.
   */
  readonly pi?: number;
}

/**
 * Return the damping of each Kronecker factor, solved by inverses of the factors or of their Gram matrices.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ damping: factored(), factors: sketches({ rank: 64 }) });
 * @example
 * // As kfac-pytorch damps by 0.003:
 * const alike = kfac({ damping: factored({ pi: 1 }), step: scheduled({ damping: 0.003 ** 2 }) });
 */
export function factored(options: FactoredOptions = {}): FactorDamping {
  checkKeys('factored', options, { pi: true });
  const { pi } = options;
  if (pi !== undefined) checkedNumber('pi', pi, { above: 0 });
  return {
    name: 'factored',
    invertsFactors: true,
    precondition(input) {
      const { context, blocks, factors, delta } = input;
      const interval = factors.inverseInterval;
      const none = new Map<string, Value>();
      const { operators, kept } = measuredOperators(input, (b, own) =>
        interval === undefined ? dampersOf(b, blocks, own, delta, pi) : none,
      );
      const dampers =
        interval === undefined
          ? kept
          : keptDampers(context, interval, (b) => dampersOf(b, blocks, operators, delta, pi));
      return blocks.map((each, i) => {
        const operator = operators[i] as KroneckerOperator; // one a block
        const names = namesOf(each.block);
        const direction = operator.damped(each.smoothed, {
          inputs: dampers(names.inputs),
          outputs: dampers(names.outputs),
        });
        return { ...each, direction, rootDamping: dampers(names.root) };
      });
    },
  };
}

/** The names of what is kept of a block. */
const namesOf = ({ weight }: KroneckerBlock) => ({
  inputs: `inverse.A.${weight}`,
  outputs: `inverse.G.${weight}`,
  root: `inverse.rootDamping.${weight}`,
});

/** What the blocks' gradients are multiplied with, and √λ, by name. */
function dampersOf(
  b: Builder,
  blocks: readonly BlockGradient[],
  operators: readonly KroneckerOperator[],
  delta: BlockDamping,
  pi: number | undefined,
): Map<string, Value> {
  const systems = operators.map((operator) => ({ operator, delta: delta(b, operator) }));
  const values = [...invertedDampers(b, systems, pi)].flatMap(([system, { inputs, outputs }], i): [string, Value][] => {
    const names = namesOf((blocks[i] as BlockGradient).block); // one an operator
    return [
      [names.inputs, inputs],
      [names.outputs, outputs],
      [names.root, rootDampingOf(b, system.delta, system.operator)],
    ];
  });
  return new Map(values);
}

/** Number of steps at the start of a run that all invert. */
const firstInversions = 3;

/** Those values, computed once every `interval` steps; the function that is returned finds them by name. */
function keptDampers(
  context: StepContext,
  interval: number,
  make: (b: Builder) => Map<string, Value>,
): (name: string) => Value {
  const { b } = context;
  const refresh = context.scalar('refresh', (_, kept) => (kept < firstInversions || kept % interval === 0 ? 1 : 0));
  const { made, kept } = refreshed(context, 'inverse', b.greater(refresh, 0.5), undefined, (inner) => ({
    keeps: make(inner.b),
  }));
  return (name) => kept(made.keeps.get(name) as Value); // of those names
}
