// Factored Tikhonov damping (Martens & Grosse 2015, section 6.3): (A + π√λ I)⁻¹ ⊗ (G + √λ/π I)⁻¹, by inverses of the sides.
import type { Value } from '../../graph/graph.js';
import { checkedNumber, checkKeys } from '../../options.js';
import { states } from '../optimizer.js';
import type { BlockDirection } from './block.js';
import { type DampingInput, type FactorDamping, rootDampingOf } from './damping.js';
import { invertedKernels, type KroneckerOperator, type PerSide } from './kronecker-operator.js';

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
      const { b } = context;
      const operatorOf = factors.begin(context);
      const operators = blocks.map((each) => ({ ...each, operator: operatorOf(each) }));
      if (factors.inverseInterval !== undefined) return keptInverses(input, operators, factors.inverseInterval, pi);
      const systems = operators.map((each) => {
        const damping = delta(b, each.operator);
        return { ...each, delta: damping, kernels: each.operator.dampedKernels(b, damping, pi) };
      });
      const inverseOf = invertedKernels(
        b,
        systems.flatMap(({ kernels }) => [kernels.inputs, kernels.outputs]),
      );
      return systems.map(({ operator, delta: own, kernels, ...block }) => ({
        ...block,
        direction: operator.factoredSolve(block.smoothed, kernels, {
          inputs: inverseOf(kernels.inputs),
          outputs: inverseOf(kernels.outputs),
        }),
        rootDamping: rootDampingOf(b, own, operator),
      }));
    },
  };
}

type BlockOperator = DampingInput['blocks'][number] & { readonly operator: KroneckerOperator };

/** Number of steps at the start of a run that all invert. */
const firstInversions = 3;

/** The blocks' directions by inverses that are computed once every `interval` steps and kept as states. */
function keptInverses(
  { context, delta }: DampingInput,
  operators: readonly BlockOperator[],
  interval: number,
  pi: number | undefined,
): readonly BlockDirection[] {
  const { b } = context;
  const refresh = context.scalar('refresh', (_, kept) => (kept < firstInversions || kept % interval === 0 ? 1 : 0));
  const held = operators.map((each) => {
    const { weight } = each.block;
    return {
      ...each,
      names: { inputs: `inverse.A.${weight}`, outputs: `inverse.G.${weight}`, root: `inverse.rootDamping.${weight}` },
    };
  });
  const shapes = new Map(
    held.flatMap(({ names, operator: { inputs, outputs } }): [string, readonly number[]][] => [
      [names.inputs, inputs.shape],
      [names.outputs, outputs.shape],
      [names.root, outputs.rootScale.dims],
    ]),
  );
  const { value } = states(context, shapes, (old) => {
    const names = [...shapes.keys()];
    const values = b.branch(
      b.greater(refresh, 0.5),
      (inner) => {
        const systems = held.map(({ operator }) => {
          const own = delta(inner, operator);
          return { operator, delta: own, kernels: operator.dampedKernels(inner, own, pi) };
        });
        const inverseOf = invertedKernels(
          inner,
          systems.flatMap(({ kernels }) => [kernels.inputs, kernels.outputs]),
        );
        return systems.flatMap(({ operator, delta: own, kernels }) => [
          // The state is δ(F̂ + δI)⁻¹, which has no scale.
          inner.mul(inverseOf(kernels.inputs), kernels.inputs.delta),
          inner.mul(inverseOf(kernels.outputs), kernels.outputs.delta),
          rootDampingOf(inner, own, operator),
        ]);
      },
      () => names.map(old),
    );
    const next = new Map(names.map((name, i) => [name, values[i] as Value])); // one value a name
    return { next, value: (name: string) => next.get(name) as Value }; // of those names
  });
  return held.map(({ operator, names, ...block }) => {
    const inverses: PerSide<Value> = { inputs: value(names.inputs), outputs: value(names.outputs) };
    const rootDamping = value(names.root);
    const one = { delta: b.scalar(1, rootDamping.dtype) };
    return {
      ...block,
      direction: operator.factoredSolve(block.smoothed, { inputs: one, outputs: one }, inverses),
      rootDamping,
    };
  });
}
