// Dense layers: a Gemm, or the product of a value of any rank and a matrix (MatMul).
import { intAttribute, type Node } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { isNode } from '../../graph/uses.js';
import { type Application, type LayerKind, lastAxis, type Reading } from './layer-kind.js';

/** Each position of a sequence is a row of its own. */
export const dense: LayerKind = {
  kind: 'dense',
  factor: 'full',
  decays: true,
  match,
  inputRows(b, { activations }) {
    const size = activations.dims.at(-1) ?? 1;
    return b.reshape(activations, [elementCount(activations.dims.slice(0, -1)), size]);
  },
};

function match({ node, value, transposed }: Reading): Application | string | undefined {
  if (!isNode(node, 'Gemm', 'MatMul') || value.rank !== 2) return undefined;
  const [activations, factor] = node.inputs;
  if (activations === value && factor === value) return 'multiplied by itself';
  if (factor !== value || !activations) return undefined;
  const isGemm = node.op === 'Gemm';
  if (isGemm && !isPlainGemm(node)) return 'a Gemm with scaling or a transposed input';
  const [rows = 0, columns = 0] = value.dims;
  const swaps = isGemm && intAttribute(node, 'transB', 0) === 1;
  const [inputs, outputs] = swaps ? [columns, rows] : [rows, columns];
  return {
    node,
    activations,
    inputs,
    outputs,
    outputsFirst: transposed !== swaps,
    outputAxes: lastAxis(node),
    biasDims: [outputs],
    addsBias: isGemm,
  };
}

function isPlainGemm(node: Node): boolean {
  const scaled = ['alpha', 'beta'].some((name) => {
    const attribute = node.attributes[name];
    return attribute?.kind === 'float' && attribute.value !== 1;
  });
  return !scaled && intAttribute(node, 'transA', 0) === 0;
}
