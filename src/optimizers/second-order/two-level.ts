// Two-level corrections, as in domain decomposition: interactions of layers, which Kronecker blocks leave out, restored in a
// space of a few vectors a layer (Tselepidis et al. 2020, arXiv 2011.00573; Koroko et al. 2023, arXiv 2303.18083).
import { total } from '../../curvature/factors/matrices.js';
import { GaussNewton } from '../../curvature/gauss-newton.js';
import type { LayerTensor } from '../../curvature/layer-tensor.js';
import { OptionError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import type { Builder } from '../../ops/builder.js';
import { identityLike } from '../../ops/identity.js';
import { checkKeys, type NoOptions } from '../../options.js';
import { spdInverse } from '../../solvers/spd-inverse.js';
import { checkedObject } from '../options.js';
import type { AcrossLayers, CorrectionInput } from './across-layers.js';
import type { BlockDirection } from './block.js';
import { type CoarseBasis, naturalGradientBasis } from './coarse-basis.js';

/** Numbers of a coarse system, one for each vector of the basis: `[vectors]`. */
export interface CoarseNumbers {
  /** ZᵀV */
  readonly gradient: Value;
  /** Return Zᵀ(F + Λ)y for the natural gradient y of the blocks; it takes a Jacobian–vector product. */
  image(): Value;
}

/**
 * Decides what is added to the natural gradient: Z·C⁻¹·t, with C = Zᵀ(F + Λ)Z.
 * @example
 * // Half of the additive correction:
 * const half: CoarseCorrection = { name: 'half', target: (b, { gradient }) => b.mul(gradient, 0.5) };
 * const optimizer = kfac({ acrossLayers: twoLevel({ correction: half }) });
 */
export interface CoarseCorrection {
  readonly name: string;
  /** Return t, `[vectors]`. */
  target(b: Builder, numbers: CoarseNumbers): Value;
}

/**
 * Return the additive correction, x = y + Z·C⁻¹·ZᵀV (arXiv 2011.00573). What y contains of the coarse space counts twice.
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = kfac({ acrossLayers: twoLevel({ basis: onesBasis(), correction: additiveCorrection() }) });
 */
export function additiveCorrection(options: NoOptions = {}): CoarseCorrection {
  checkKeys('additiveCorrection', options, {});
  return { name: 'additive', target: (_, { gradient }) => gradient };
}

/**
 * Return the correction of what the natural gradient y leaves, x = y + Z·C⁻¹·Zᵀ(V − (F + Λ)y): the x in y + span Z that
 * minimizes the quadratic model ½xᵀ(F + Λ)x − Vᵀx. It is the balancing correction for one right side (A-DEF2 of Tang et al.
 * 2009; arXiv 2303.18083).
 * @throws OptionError for options: it has none
 * @example
 * const optimizer = kfac({ acrossLayers: twoLevel({ basis: krylovBasis(), correction: balancingCorrection() }) });
 */
export function balancingCorrection(options: NoOptions = {}): CoarseCorrection {
  checkKeys('balancingCorrection', options, {});
  return { name: 'balancing', target: (b, { gradient, image }) => b.sub(gradient, image()) };
}

export interface TwoLevelOptions {
  /** The coarse space: `naturalGradientBasis()` by default, `gradientBasis()`, `onesBasis()` or `krylovBasis()`. */
  readonly basis?: CoarseBasis;
  /** `balancingCorrection()` by default, or `additiveCorrection()`. */
  readonly correction?: CoarseCorrection;
}

/** √λ below this counts as this: a layer without curvature, whose natural gradient would overflow. */
const smallestRoot = 1e-12;

/** Squares below this count as this. */
const smallestSquare = 1e-36;

/**
 * Return the two-level correction of natural gradients. F is the exact Gauss–Newton matrix of the examples that the curvature
 * is measured on, of which one Jacobian–vector product for each vector of the basis gives ZᵀFZ; Λ is the damping of the blocks.
 * @throws OptionError for unknown options
 * @example
 * const optimizer = kfac({ step: selfTuning(), acrossLayers: twoLevel() });
 */
export function twoLevel(options: TwoLevelOptions = {}): AcrossLayers {
  checkKeys('twoLevel', options, { basis: true, correction: true });
  const basis =
    checkedObject('basis', options.basis, 'vectors', [
      'naturalGradientBasis',
      'gradientBasis',
      'onesBasis',
      'krylovBasis',
    ]) ?? naturalGradientBasis();
  const correction =
    checkedObject('correction', options.correction, 'target', ['balancingCorrection', 'additiveCorrection']) ??
    balancingCorrection();
  return {
    name: 'two-level',
    ...(basis.onlyLengths && { onlyLengths: true }),
    correct: (input) => corrected(input, basis, correction),
  };
}

function corrected(
  { context: { b }, sample, blocks }: CorrectionInput,
  basis: CoarseBasis,
  correction: CoarseCorrection,
): readonly BlockDirection[] {
  const members = blocks.map((each): Member => {
    const root = b.max(each.rootDamping, smallestRoot);
    return { each, damping: b.square(root), solved: each.direction.map((part) => b.div(b.div(part, root), root)) };
  });
  const solution = members.map(({ solved }) => solved);
  const stepsOf = (v: readonly LayerTensor[]) => pairs(members, v).map(([{ each }, step]) => ({ ...each, step }));
  const network = new GaussNewton(
    b,
    sample,
    blocks.map(({ block }) => block),
  );
  const sets = basis.vectors({
    ...{ b, blocks, naturalGradients: solution },
    product: (v) => network.times(b, stepsOf(v)),
  });
  if (sets.length === 0) throw new OptionError(`basis '${basis.name}' made no vectors; give at least one set of them`);
  const space = new CoarseSpace(b, network, members, orthonormal(b, sets));
  const coefficients = space.solve(
    correction.target(b, {
      gradient: space.along(blocks.map(({ smoothed }) => smoothed)),
      image: () => space.image(solution, network.tangent(b, stepsOf(solution))),
    }),
  );
  return pairs(members, space.lifted(coefficients)).map(([{ each, damping }, added]) => ({
    ...each,
    direction: each.direction.map((part, more) => b.add(part, b.mul(more, damping)), added),
  }));
}

/** A block, its λ and its natural gradient y. */
interface Member {
  readonly each: BlockDirection;
  /** A scalar, or `[groups, 1, 1]`. */
  readonly damping: Value;
  readonly solved: LayerTensor;
}

/**
 * The span of the vectors z, each of length 1 and in the parameters of one block; all vectors of the first set come first. F acts
 * on it through the derivatives of the outputs along each vector.
 */
class CoarseSpace {
  readonly #b: Builder;
  readonly #members: readonly Member[];
  readonly #sets: readonly (readonly LayerTensor[])[];
  /** Jz and HJz/N for each vector z, `[vectors, outputs]`. */
  readonly #tangents: Value;
  readonly #weighed: Value;

  constructor(b: Builder, network: GaussNewton, members: readonly Member[], sets: readonly (readonly LayerTensor[])[]) {
    const tangents = sets.flatMap((set) =>
      pairs(members, set).map(([{ each }, step]) => network.tangent(b, [{ ...each, step }])),
    );
    this.#b = b;
    this.#members = members;
    this.#sets = sets;
    this.#tangents = rows(b, tangents);
    this.#weighed = rows(
      b,
      tangents.map((tangent) => network.weighed(b, tangent)),
    );
  }

  /** Return Zᵀv. */
  along(v: readonly LayerTensor[]): Value {
    const b = this.#b;
    return vector(
      b,
      this.#sets.flatMap((set) => pairs(set, v).map(([z, part]) => z.dot(b, part))),
    );
  }

  /** Return Zᵀ(F + Λ)v for v and Jv. */
  image(v: readonly LayerTensor[], tangent: Value): Value {
    const b = this.#b;
    const ofCurvature = b.gemm(this.#weighed, rows(b, [tangent]), undefined, { transposeY: true });
    const ofDamping = this.#sets.flatMap((set) => this.#damped(set, v));
    return b.add(b.squeeze(ofCurvature, [1]), vector(b, ofDamping));
  }

  /** Return Z·c, one tensor for each block. */
  lifted(coefficients: Value): LayerTensor[] {
    const b = this.#b;
    const count = this.#members.length;
    const terms = this.#sets.map((set, k) =>
      set.map((z, i) => {
        const c = b.reshape(b.slice(coefficients, 0, k * count + i, k * count + i + 1), []);
        return z.map((part) => b.mul(part, c));
      }),
    );
    return terms.reduce((sums, next) =>
      pairs(sums, next).map(([x, y]) => x.map((part, other) => b.add(part, other), y)),
    );
  }

  /**
   * Return C⁻¹·t for C = Zᵀ(F + Λ)Z, whose rows and columns are scaled to a diagonal of 1. In float32 a multiple of the identity
   * keeps vectors that are nearly dependent from dividing rounding errors by each other.
   */
  solve(target: Value): Value {
    const b = this.#b;
    const products = b.gemm(this.#tangents, this.#weighed, undefined, { transposeY: true });
    const matrix = b.add(products, this.#dampingMatrix());
    const identity = identityLike(b, matrix);
    const diagonal = b.sum(b.mul(matrix, identity), [1]);
    const roots = b.reciprocal(b.sqrt(b.max(diagonal, smallestSquare)));
    const scaled = b.mul(b.mul(matrix, b.unsqueeze(roots, [1])), roots);
    // A vector that is 0 has a row of zeros.
    const ridge = b.where(b.greater(diagonal, smallestSquare), matrix.dtype === 'float64' ? 0 : 1e-6, 1);
    const inverse = spdInverse(b, b.add(scaled, b.mul(identity, b.cast(ridge, matrix.dtype))));
    const solution = b.matmul(inverse, b.unsqueeze(b.mul(target, roots), [1]));
    return b.mul(b.squeeze(solution, [1]), roots);
  }

  /** ZᵀΛZ: vectors of different blocks have no common parameters. */
  #dampingMatrix(): Value {
    const b = this.#b;
    const [sets, count] = [this.#sets.length, this.#members.length];
    const numbers = vector(
      b,
      this.#sets.flatMap((x) => this.#sets.flatMap((y) => this.#damped(x, y))),
    );
    const each = b.unsqueeze(b.transpose(b.reshape(numbers, [sets, sets, count]), [0, 2, 1]), [3]);
    const ones = identityLike(b, b.filled([count, count], 0, numbers.dtype));
    return b.reshape(b.mul(each, b.reshape(ones, [1, count, 1, count])), [sets * count, sets * count]);
  }

  /** xᵀΛy of each block. */
  #damped(x: readonly LayerTensor[], y: readonly LayerTensor[]): Value[] {
    const b = this.#b;
    return pairs(x, y).map(([first, second], i) =>
      total(b, b.mul(first.dots(b, second), this.#members[i]?.damping ?? 0)),
    );
  }
}

/** Values as the rows of a matrix. */
const rows = (b: Builder, values: readonly Value[]): Value =>
  b.concat(
    values.map((value) => b.reshape(value, [1, elementCount(value.dims)])),
    0,
  );

/** Scalars as a vector. */
const vector = (b: Builder, scalars: readonly Value[]): Value =>
  b.concat(
    scalars.map((scalar) => b.reshape(scalar, [1])),
    0,
  );

/** Two lists of one element for each block, element by element. */
function pairs<X, Y>(x: readonly X[], y: readonly Y[]): (readonly [X, Y])[] {
  if (x.length !== y.length) {
    throw new OptionError(`a basis made ${y.length} vectors for ${x.length} blocks; a set has one for each block`);
  }
  return x.map((first, i) => [first, y[i] as Y]); // as many
}

/** Of a vector of length 1, less than this is rounding: the vector depends on the others. */
const dependent = ({ dtype }: Value): number => (dtype === 'float64' ? 1e-10 : 1e-4);

/**
 * The vectors of each block made orthonormal by the method of Gram and Schmidt, twice, since once loses orthogonality; a vector
 * that depends on the others becomes 0.
 */
function orthonormal(b: Builder, sets: readonly (readonly LayerTensor[])[]): (readonly LayerTensor[])[] {
  /** The vector in units of its length; 0 if its square is not above a number. */
  const unit = (v: LayerTensor, least: number): LayerTensor => {
    const square = v.dot(b, v);
    const inverse = b.where(b.greater(square, least), b.reciprocal(b.sqrt(b.max(square, smallestSquare))), 0);
    return v.map((part) => b.mul(part, inverse));
  };
  const without = (v: LayerTensor, others: readonly LayerTensor[]): LayerTensor =>
    others.reduce((rest, other) => {
      const share = rest.dot(b, other);
      return rest.map((part, past) => b.sub(part, b.mul(past, share)), other);
    }, v);
  const made: (readonly LayerTensor[])[] = [];
  for (const set of sets) {
    const next = set.map((v, i) => {
      const first = unit(v, smallestSquare);
      if (made.length === 0) return first;
      const others = made.map((each) => each[i] ?? first);
      const least = dependent(v.weight) ** 2;
      return unit(without(unit(without(first, others), least), others), least);
    });
    made.push(next);
  }
  return made;
}
