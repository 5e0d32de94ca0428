// Eigenbases of Kronecker factors, renewed every n-th step of a run and kept in between.
import { stack, unstack } from '../../curvature/factors/matrices.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { identityLike } from '../../ops/identity.js';
import { checkedCount } from '../../options.js';
import { orthogonalIteration, rayleighQuotients } from '../../solvers/eigenbasis.js';
import { descendingOrder, permuted, symmetricEigen } from '../../solvers/symmetric-eigen.js';
import { type StepContext, states } from '../optimizer.js';
import { solvedInGroups } from './groups.js';
import type { PerSide } from './kronecker-operator.js';

export interface BasisOptions {
  /** Steps from one renewal of the eigenbases to the next; 20 by default. */
  readonly interval?: number;
  /** Steps at the start of a run that all renew them; 3 by default. */
  readonly burnIn?: number;
}

/** @throws OptionError for numbers out of range */
export const checkedBasis = ({ interval = 20, burnIn = 3 }: BasisOptions): Required<BasisOptions> => ({
  interval: checkedCount('interval', interval),
  burnIn: checkedCount('burnIn', burnIn),
});

/** Eigenvalues from the largest down and eigenvectors as columns; without vectors the factor is a diagonal. */
export interface SideEigen {
  /** `[size]`, `[groups, size]`; a scalar for a multiple of the identity. */
  readonly values: Value;
  readonly vectors?: Value;
}

/** A factor of a block. */
export interface FactorSide {
  /** A name for its states. */
  readonly name: string;
  readonly side: {
    kernel(b: Builder): Value;
    readonly shape: readonly number[];
    readonly diagonal: boolean;
    readonly identity?: true;
  };
}

/**
 * Largest order that is decomposed anew, so that directions are those of `A⊗G + λI` exactly: Jacobi's method takes hundreds of
 * passes over the matrix. What only turns gradients, as SOAP does, has a lower bound: see `firstEigenbasis`.
 */
const largestDecomposed = 256;

/** Steps of orthogonal iteration in the first renewal, from the identity; later ones take one. */
const firstIterations = 20;

export interface Eigenbases {
  /** Whether the bases are those of this step, a bool scalar; undefined if they always are. */
  readonly renewed: Value | undefined;
  of(side: FactorSide): SideEigen;
}

/**
 * Return the eigenbases of factors. Those of more than 256 rows follow their factor by orthogonal iteration, and their
 * eigenvalues are Rayleigh quotients: of a fixed basis `diag(QᵀFQ)` is the nearest diagonal.
 */
export function eigenbases(
  context: StepContext,
  sides: readonly FactorSide[],
  { interval, burnIn }: Required<BasisOptions>,
): Eigenbases {
  const { b } = context;
  const dense = sides.filter(({ side }) => !side.diagonal);
  const all = interval === 1 && dense.every(({ side }) => orderOf(side.shape) <= largestDecomposed);
  if (all) {
    const decomposed = decompositions(b, dense);
    return { renewed: undefined, of: (side) => eigenOf(b, side, decomposed) };
  }
  const rounds = context.scalar('basisRenewal', (_, kept) => {
    if (kept === 0) return firstIterations;
    return kept < burnIn || kept % interval === 0 ? 1 : 0;
  });
  const isFirst = context.scalar('firstRenewal', (_, kept) => (kept === 0 ? 1 : 0));
  const shapes = new Map(
    dense.flatMap(({ name, side: { shape } }): [string, readonly number[]][] => [
      [namesOf(name).values, shape.slice(0, -1)],
      [namesOf(name).vectors, shape],
    ]),
  );
  const renewed = b.greater(rounds, 0.5);
  const { next } = states(context, shapes, (old) => {
    const names = [...shapes.keys()];
    const values =
      names.length === 0
        ? []
        : b.branch(
            renewed,
            (inner) => {
              const small = dense.filter(({ side }) => orderOf(side.shape) <= largestDecomposed);
              const decomposed = decompositions(inner, small);
              return dense.flatMap((each) => {
                const { values: eigenvalues, vectors } = small.includes(each)
                  ? decomposed(each)
                  : followed(inner, each.side.kernel(inner), old(namesOf(each.name).vectors), isFirst, rounds);
                return [eigenvalues, vectors];
              });
            },
            () => names.map(old),
          );
    return { next: new Map(names.map((name, i) => [name, values[i] as Value])) }; // one value a name
  });
  const kept = ({ name }: FactorSide) => ({
    values: next.get(namesOf(name).values) as Value, // of a side that is dense
    vectors: next.get(namesOf(name).vectors) as Value,
  });
  return { renewed, of: (side) => eigenOf(b, side, kept) };
}

const orderOf = (shape: readonly number[]): number => shape.at(-1) ?? 1;

const namesOf = (name: string) => ({ values: `eigenvalues.${name}`, vectors: `eigenvectors.${name}` });

type Decomposed = (side: FactorSide) => { readonly values: Value; readonly vectors: Value };

function eigenOf(b: Builder, given: FactorSide, decomposed: Decomposed): SideEigen {
  const { side } = given;
  if (side.identity) return { values: b.scalar(1, side.kernel(b).dtype) };
  return side.diagonal ? { values: side.kernel(b) } : decomposed(given);
}

/** Decompositions from scratch, of equal orders together. */
function decompositions(b: Builder, sides: readonly FactorSide[]): Decomposed {
  return solvedInGroups(
    sides,
    ({ side }) => String(orderOf(side.shape)),
    (group) => {
      const kernels = group.map(({ side }) => side.kernel(b));
      const { values, vectors } = symmetricEigen(b, stack(b, kernels));
      const columns = b.unsqueeze(values, [2]);
      return kernels.map((kernel, i) => ({
        values: b.squeeze(unstack(b, columns, kernels, i), [kernel.rank - 1]),
        vectors: unstack(b, vectors, kernels, i),
      }));
    },
  );
}

/** Steps of orthogonal iteration from the basis before, whose columns are then put in order. */
function followed(b: Builder, kernel: Value, before: Value, isFirst: Value, rounds: Value) {
  const start = b.add(before, b.mul(identityLike(b, kernel), isFirst)); // the state is zero before the first renewal
  const { basis } = b.loop(b.cast(rounds, 'int64'), { basis: start }, (inner, _, carried) => ({
    basis: orthogonalIteration(inner, kernel, carried.basis),
  }));
  const values = rayleighQuotients(b, kernel, basis);
  const order = descendingOrder(b, values);
  return { values: permuted(b, values, order, kernel.rank - 2), vectors: permuted(b, basis, order, kernel.rank - 1) };
}

/** Return Q_Aᵀ·V·Q_G, or Q_A·V·Q_Gᵀ if `back`. */
export function turned(b: Builder, v: Value, { inputs, outputs }: PerSide<SideEigen>, back: boolean): Value {
  const transposed = (x: Value, isTransposed: boolean) => (isTransposed ? b.transposeMatrices(x) : x);
  const left = inputs.vectors ? b.matmul(transposed(inputs.vectors, !back), v) : v;
  return outputs.vectors ? b.matmul(left, transposed(outputs.vectors, back)) : left;
}

/** Return the eigenvalues of A⊗G, `[inputs, outputs]`: products of those of the factors, none below 0. */
export function spectrumOf(b: Builder, { inputs, outputs }: PerSide<SideEigen>): Value {
  const columns = b.unsqueeze(inputs.values, [inputs.values.rank]);
  const rows = outputs.values.rank === 0 ? outputs.values : b.unsqueeze(outputs.values, [outputs.values.rank - 1]);
  return b.mul(b.max(columns, 0), b.max(rows, 0));
}
