// The rows that curvature is computed from: each layer's activations and per-example pre-activation gradients.
import { vectorJacobianProduct } from '../autodiff/gradients.js';
import type { Value } from '../graph/graph.js';
import type { Cases, OutputLikelihood } from '../losses/likelihood.js';
import type { Builder } from '../ops/builder.js';
import type { Measured } from './example-rows.js';
import { elementDot } from './factors/matrices.js';
import { cotangentsOf, type Fisher, type FisherInput } from './fisher.js';
import { type FormedGradients, formedGradients } from './formed-gradients.js';
import type { KroneckerBlock } from './kronecker-block.js';
import type { InputRows } from './layer-tensor.js';
import { checkedDiagonal } from './layers/checks.js';
import type { LayerUse } from './layers/layer-kind.js';
import { reducedRows } from './reduced-rows.js';
import { RowShares } from './row-shares.js';
import { gradientRows, identityOutputs, identityRows, rowCount, rowsOf, stacked } from './use-rows.js';

/** The rows of one layer, divided by the root of the number of cases: `A = aᵀa` and `G = gᵀg`. */
export interface LayerRows {
  readonly inputs: InputRows;
  /** `[rows, outputs]`; `[groups, rows, outputs]` of several groups */
  readonly outputs: Value;
  /** Whether the output rows are those of the identity, G = I, by definition. */
  readonly outputsAreIdentity?: true;
  /** `[inputs]`: the diagonal of A if it is a diagonal, as for an embedding. */
  readonly diagonal?: Value;
  /**
   * Return the gradients of the single examples. Left out if no gradients are measured.
   * @throws OptionError for a layer whose inputs are not measured or do not belong to examples
   */
  readonly examples?: () => FormedGradients;
}

/** The rows of a block. */
export interface BlockRows extends LayerRows {
  readonly block: KroneckerBlock;
}

/**
 * Return the activations and pre-activation gradients of the layers in one evaluation of the network. Each position of a
 * sequence or of an image, and each use of tied weights, is a separate row: with N cases of T positions A = Σaaᵀ/(N·T) and
 * G = Σggᵀ/N (the "expand" setting of Eschenhagen et al. 2023, arXiv 2311.00636; Grosse & Martens 2016, arXiv 1602.01407,
 * have the factor T of convolutions in A). If cases have weights w, A = Σw·aaᵀ/Σw and G = Σw·ggᵀ/Σw: an integer weight
 * counts as repeated cases.
 * @param blocks found in the graph of this very evaluation
 * @param reduces whether a block sums the rows of each example before the factors are made: "reduce" (arXiv 2311.00636) has
 *   A = Σāāᵀ/N with ā the mean of an example's activations, and G = Σḡḡᵀ/N with ḡ the sum of its gradients
 * @param noise draws the random numbers that sampled targets and random signs need
 */
export function layerRows(
  b: Builder,
  forward: Cases,
  loss: OutputLikelihood,
  blocks: readonly KroneckerBlock[],
  fisher: Fisher,
  noise: FisherInput['noise'],
  reduces: (block: KroneckerBlock) => boolean = () => false,
): BlockRows[] {
  const { output } = forward;
  const preActivations = blocks.flatMap((block) => block.uses.map((use) => use.preActivations));
  const pull = (cotangent: Value): ReadonlyMap<Value, Value> => {
    const cotangents = vectorJacobianProduct(b, [{ value: output, cotangent }], preActivations);
    return new Map(preActivations.map((value, i) => [value, cotangents[i] as Value])); // one cotangent a value
  };
  const passes = cotangentsOf(fisher, { b, forward, likelihood: loss, noise }).map(pull);
  const perCase = 1 / Math.sqrt(loss.cases(output));
  const shares = RowShares.of(b, forward, loss);
  /** Rows of pre-activation gradients of some uses, from all passes. */
  const gradients = (uses: readonly LayerUse[]): Value => {
    if (fisher.inputsAlone) return identityOutputs(b, uses);
    const rows = passes.flatMap(
      (pass) => uses.map((use) => gradientRows(b, use, pass.get(use.preActivations) as Value)), // of all pre-activations
    );
    return b.mul(stacked(b, rows), perCase);
  };
  const measured: Measured = {
    ...{ batch: output.dims[0] ?? 1, perCase, shares },
    gradientsOf: (use) => passes.map((pass) => gradientRows(b, use, pass.get(use.preActivations) as Value)), // of all
  };
  return blocks.map((block) => {
    const transposed = block.uses.filter((use) => use.transposed);
    const plain = block.uses.filter((use) => !use.transposed);
    const common = { block, ...(!fisher.inputsAlone && { examples: () => formedGradients(b, block, measured) }) };
    if (reduces(block)) return { ...common, ...reducedRows(b, block, measured) };
    if (transposed.length > 0) {
      const stored = { left: activationsOf(b, plain, shares).values, right: gradients(plain) };
      const rows = balancedRows(b, stored, {
        left: gradients(transposed),
        right: activationsOf(b, transposed, shares).values,
      });
      return { ...common, ...rows };
    }
    const rows: BlockRows = {
      ...common,
      ...{ inputs: inputRows(b, block, shares), outputs: gradients(plain) },
      ...(fisher.inputsAlone && { outputsAreIdentity: true as const }),
    };
    const [{ layer }] = block.uses;
    const isDiagonal = block.factor === 'diagonal' && layer.factor === 'diagonal';
    if (!isDiagonal) return rows;
    const counts = (): number[] => block.uses.map((use) => rowCount(layer.inputRows(b, use)));
    const diagonal = layer.inputDiagonal(b, block.uses, shares?.ofRows(block.uses, counts()));
    return { ...rows, diagonal: checkedDiagonal(block.uses[0], diagonal) };
  });
}

/** Rows of the two sides of one Kronecker product: L = leftᵀ·left, R = rightᵀ·right. */
interface RowPair {
  readonly left: Value;
  readonly right: Value;
}

/**
 * Return rows of one product that approximates the sum of two, L₁⊗R₁ + L₂⊗R₂, and has its trace: with mean eigenvalues l
 * and r, L = r₁·L₁ + r₂·L₂ and R = (l₁·R₁ + l₂·R₂)/(l₁r₁ + l₂r₂). It equals the sum if L₁ and L₂ are multiples of each
 * other, if R₁ and R₂ are, and if one of the two products is zero.
 */
function balancedRows(b: Builder, ...pairs: readonly [RowPair, RowPair]): LayerRows {
  const mean = (rows: Value): Value => b.mul(elementDot(b, rows, rows), 1 / (rows.dims.at(-1) ?? 1));
  const weighed = pairs.map(({ left, right }) => ({ left, right, l: mean(left), r: mean(right) }));
  const trace = weighed.map(({ l, r }) => b.mul(l, r)).reduce((x, y) => b.add(x, y));
  const share = (l: Value): Value => b.sqrt(b.div(l, b.max(trace, 1e-30)));
  const left = stacked(
    b,
    weighed.map((pair) => b.mul(pair.left, b.sqrt(pair.r))),
  );
  const right = stacked(
    b,
    weighed.map((pair) => b.mul(pair.right, share(pair.l))),
  );
  return { inputs: { values: left, homogeneous: undefined }, outputs: right };
}

/** The activations of all uses of a layer, with the homogeneous coordinate. */
function inputRows(b: Builder, block: KroneckerBlock, shares: RowShares | undefined): InputRows {
  if (block.factor === 'identity') return identityRows(b, block);
  const { values, roots } = activationsOf(b, block.uses, shares);
  if (block.bias === undefined) return { values, homogeneous: undefined };
  const dims = [...values.dims.slice(0, -1), 1];
  if (roots) return { values, homogeneous: b.mul(b.filled(dims, 1, values.dtype), roots) };
  return { values, homogeneous: b.filled(dims, 1 / Math.sqrt(rowCount(values)), values.dtype) };
}

/** Rows of activations, of which A is the sum of squares. */
interface Activations {
  readonly values: Value;
  /** `[rows, 1]`: what the rows were multiplied by; undefined if all have one factor, which depends on their number. */
  readonly roots?: Value;
}

function activationsOf(b: Builder, uses: readonly LayerUse[], shares: RowShares | undefined): Activations {
  const each = uses.map((use) => rowsOf(b, use));
  const rows = stacked(b, each);
  if (!shares) return { values: b.mul(rows, 1 / Math.sqrt(rowCount(rows))) };
  const own = b.cast(shares.ofRows(uses, each.map(rowCount)), rows.dtype);
  const roots = b.reshape(b.sqrt(own), [rowCount(rows), 1]);
  return { values: b.mul(rows, roots), roots };
}
