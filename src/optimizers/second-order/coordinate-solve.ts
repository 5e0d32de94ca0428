// Conjugate gradients for (F + λI)X = V in coordinates: every iterate is X = Σ ξₖ·Uₖ + E_a·S·E_gᵀ, with U₀ = V and perhaps a
// start U₁, since F[X] = E_a·(C_a·(E_aᵀXE_g)·C_g)·E_gᵀ. They are the iterates of conjugate gradients on X, at the cost of small
// matrices. If both E are the identity, then S alone is X.
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { conjugateGradient } from '../../solvers/conjugate-gradient.js';
import type { Solve, SolveSettings } from './convergence.js';

type SmallMap = (b: Builder, x: Value) => Value;

/** A batch of systems; numbers are `[systems, 1, 1]`, small matrices `[systems, rows, columns]`. */
export interface CoordinateSystems {
  /** E_aᵀ·Uₖ·E_g of each vector of the span. */
  readonly images: readonly Value[];
  /** ⟨Uₖ, Uₗ⟩; empty if both E are the identity, where the vectors need no coordinates of their own. */
  readonly products: readonly (readonly Value[])[];
  /** λ */
  readonly damping: Value;
  /** B ↦ C_a·B·C_g */
  readonly core: SmallMap;
  /** S ↦ E_aᵀE_a·S·E_gᵀE_g */
  readonly gram: SmallMap;
}

export interface CoordinateSolution {
  /** ξₖ, `[systems, 1, 1]`; empty if S is X. */
  readonly coefficients: readonly Value[];
  readonly s: Value;
  readonly solve: Solve;
}

/** A vector: ξ, S, and B = E_aᵀXE_g, which is linear in both and carried so that each iteration applies the maps once. */
interface Coordinates {
  readonly xi: readonly Value[];
  readonly s: Value;
  readonly image: Value;
}

/** Return the solution of (F + λI)X = U₀, from the best multiple of U₁ if there is one. */
export function coordinateSolve(
  b: Builder,
  { images, products, damping, core, gram }: CoordinateSystems,
  options: SolveSettings,
): CoordinateSolution {
  const count = products.length;
  const joined = ({ xi, s, image }: Coordinates): Value[] => [...xi, s, image];
  const apart = (x: readonly Value[]): Coordinates => {
    const [s, image] = x.slice(count);
    if (!s || !image) throw new Error('a vector in coordinates has ξ, S and B');
    return { xi: x.slice(0, count), s, image };
  };
  /** The coordinates of Uₖ. */
  const vector = (k: number): Value[] => {
    const image = images[k];
    if (!image) throw new Error(`the span has no vector ${k}`);
    if (count === 0) return joined({ xi: [], s: image, image });
    const xi = products.map((_, l) => b.mul(b.onesLike(damping), Number(l === k)));
    return joined({ xi, s: b.zerosLike(image), image });
  };
  const sum = (at: Builder, values: Value): Value => at.sum(values, [1, 2]);
  const { value, ...solve } = conjugateGradient(b, {
    operator(at, x) {
      const { xi, s, image } = apart(x);
      const applied = core(at, image);
      return joined({
        xi: xi.map((each) => at.mul(each, damping)),
        s: at.add(at.mul(s, damping), applied),
        image: at.add(at.mul(image, damping), gram(at, applied)),
      });
    },
    // ⟨X, Y⟩ = Σ ξₖ·⟨Uₖ, Y⟩ + ⟨S, E_aᵀYE_g⟩
    inner(at, x, y) {
      const [left, right] = [apart(x), apart(y)];
      const terms = left.xi.map((xi, k) => {
        const ofSpan = right.xi.map((eta, l) => at.mul(eta, products[k]?.[l] ?? eta));
        const ofRows = at.sum(at.mul(images[k] ?? right.s, right.s), [1, 2], true);
        return sum(
          at,
          at.mul(
            xi,
            ofSpan.reduce((p, q) => at.add(p, q), ofRows),
          ),
        );
      });
      return terms.reduce((p, q) => at.add(p, q), sum(at, at.mul(left.s, right.image)));
    },
    rightHandSide: vector(0),
    ...(images.length > 1 && { initial: vector(1) }),
    batched: true,
    ...options,
  });
  const { xi, s } = apart(value);
  return { coefficients: xi, s, solve };
}
