// Natural gradients without inverses and without factors: diagonal K and C whose squares approach the inverses of the damped
// diagonals of A and G (SINGD with diagonal structure, Lin et al. 2024, arXiv 2312.05705).
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { LayerRows } from '../../curvature/statistics.js';
import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { checkedNumber, checkKeys } from '../../options.js';
import { states } from '../optimizer.js';
import type { BlockDirection } from './block.js';
import { type BlockDamping, type RowDamping, rootDampingOf } from './damping.js';
import { measuredNow } from './refresh.js';

export interface InverseFreeOptions {
  /** Step β on K and C; 0.1 by default. */
  readonly rate?: number;
  /** Weight α of the past in the momentum of these steps; 0.5 by default. */
  readonly momentum?: number;
}

/**
 * Return the damping by multiplicative steps on diagonals K = diag(k) and C = diag(c): with `h_A = k² ⊙ diag A`, `h_G = c² ⊙ diag G`
 *
 *     m_k ← α·m_k + (Σh_G·h_A + λ·Σc²·k² − n)/(2n)        k ← k ⊙ (1 − β·m_k)
 *
 * and the same for c with the roles exchanged; the direction is `k²·c²ᵀ ⊙ ∇`. It keeps 2(m + n) numbers for a layer of m inputs and
 * n outputs, fewer than any other, and inverts nothing: β must be small enough that k and c stay positive.
 * @throws OptionError for unknown options and numbers out of range
 * @example
 * const optimizer = cgfac({ damping: inverseFree({ rate: 0.05 }) });
 */
export function inverseFree(options: InverseFreeOptions = {}): RowDamping {
  checkKeys('inverseFree', options, { rate: true, momentum: true });
  const rate = checkedNumber('rate', options.rate ?? 0.1, { above: 0, below: 1 });
  const momentum = checkedNumber('momentum', options.momentum ?? 0.5, { atLeast: 0, below: 1 });
  return {
    name: 'inverseFree',
    usesRows: true,
    precondition({ context, delta, measure }) {
      return measuredNow(measure).map(({ rows, ...each }): BlockDirection => {
        const { b } = context;
        const measured = diagonals(b, each.block, rows, delta);
        const names = namesOf(each.block.weight);
        const shapes = new Map([
          ...[names.k, names.pastK].map((name) => [name, measured.inputs.dims] as const),
          ...[names.c, names.pastC].map((name) => [name, measured.outputs.dims] as const),
        ]);
        const { k, c } = states(context, shapes, (old) => {
          // The states are 0 at first: K − I and C − I.
          const [k, c] = [b.add(old(names.k), 1), b.add(old(names.c), 1)];
          const [kk, cc] = [b.square(k), b.square(c)];
          const [ha, hg] = [b.mul(kk, measured.inputs), b.mul(cc, measured.outputs)];
          const pull = (own: Value, square: Value, other: Value, otherSquare: Value): Value => {
            const size = other.dims.at(-1) ?? 1;
            const damped = b.mul(b.mul(total(b, otherSquare), measured.damping), square);
            return b.mul(b.sub(b.add(b.mul(total(b, other), own), damped), size), 1 / (2 * size));
          };
          const pastK = b.add(b.mul(old(names.pastK), momentum), pull(ha, kk, hg, cc));
          const pastC = b.add(b.mul(old(names.pastC), momentum), pull(hg, cc, ha, kk));
          const moved = (from: Value, by: Value): Value => b.mul(from, b.sub(1, b.mul(by, rate)));
          const [nextK, nextC] = [moved(k, pastK), moved(c, pastC)];
          const next = new Map([
            [names.k, b.sub(nextK, 1)],
            [names.c, b.sub(nextC, 1)],
            [names.pastK, pastK],
            [names.pastC, pastC],
          ]);
          return { next, k: nextK, c: nextC };
        });
        const joined = each.smoothed.joined(b);
        const left = b.mul(b.unsqueeze(b.square(k), [joined.rank - 1]), measured.matrixDamping);
        const scaled = b.mul(b.mul(joined, left), b.unsqueeze(b.square(c), [joined.rank - 2]));
        return { ...each, direction: each.smoothed.split(b, scaled), rootDamping: measured.rootDamping };
      });
    },
  };
}

const namesOf = (weight: string) => ({
  k: `inverseFree.K.${weight}`,
  c: `inverseFree.C.${weight}`,
  pastK: `inverseFree.momentum.K.${weight}`,
  pastC: `inverseFree.momentum.C.${weight}`,
});

/** The sum over the last axis, which stays. */
const total = (b: Builder, x: Value): Value => b.sum(x, [x.rank - 1], true);

/** The diagonals of A and G, `[size]` or `[groups, size]`, and λ beside vectors and beside matrices. */
function diagonals(b: Builder, block: KroneckerBlock, rows: LayerRows, delta: BlockDamping) {
  const squares = (x: Value): Value => b.sum(b.square(x), [x.rank - 2]);
  const { values, homogeneous } = rows.inputs;
  const ofRows = (): Value =>
    homogeneous ? b.concat([squares(values), squares(homogeneous)], values.rank - 2) : squares(values);
  const [inputs, outputs] = [rows.diagonal ?? ofRows(), squares(rows.outputs)];
  const isGrouped = block.groups > 1;
  const rootOf = (diagonal: Value): Value => {
    const mean = b.mean(diagonal, [diagonal.rank - 1], isGrouped);
    return b.sqrt(b.max(isGrouped ? b.unsqueeze(mean, [2]) : mean, 1e-36));
  };
  const scales = { inputs: { rootScale: rootOf(inputs) }, outputs: { rootScale: rootOf(outputs) } };
  const rootDamping = rootDampingOf(b, delta(b, scales), scales);
  const matrixDamping = b.square(rootDamping);
  const shape = [block.groups, 1];
  const damping = isGrouped && matrixDamping.rank === 3 ? b.reshape(matrixDamping, shape) : matrixDamping;
  return { inputs, outputs, rootDamping, matrixDamping, damping };
}
