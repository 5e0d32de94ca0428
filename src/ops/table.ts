// The operator table: every operator cgfac knows, by ONNX name (other domains as `domain.Name`).
import type { Semantics } from '../graph/builder.js';
import { type Node, outputOf } from '../graph/graph.js';
import { isFloatingPoint } from '../graph/tensor.js';
import { controlOps } from './control.js';
import type { NodeDraft, OpDefinition, OpTable } from './definition.js';
import { elementwiseOps } from './elementwise.js';
import { linearAlgebraOps } from './linear-algebra.js';
import { movementOps } from './movement.js';
import { reductionOps } from './reduction.js';

export const operators: OpTable = {
  ...elementwiseOps,
  ...linearAlgebraOps,
  ...reductionOps,
  ...movementOps,
  ...controlOps,
};

/** The definition of a node's operator, or undefined for one that cgfac does not know. */
export function definitionOf(node: Pick<NodeDraft, 'op' | 'domain'>): OpDefinition | undefined {
  const name = node.domain === '' ? node.op : `${node.domain}.${node.op}`;
  return Object.hasOwn(operators, name) ? operators[name] : undefined;
}

/** How the builder learns types and constants. Outputs of an unknown operator have no type until someone asks for it. */
export const semantics: Semantics = {
  infer: (node) => definitionOf(node)?.infer(node) ?? [],
  fold: (node) => definitionOf(node)?.fold?.(node),
};

/** Floating-point operations of one run of a node; a multiplication and an addition count as two. */
export function flopsOf(node: Node): number {
  const definition = definitionOf(node);
  if (!definition) return 0;
  if (definition.flops) return definition.flops(node);
  const type = outputOf(node).knownType;
  if (!type || !isFloatingPoint(type.dtype)) return 0;
  return type.shape.reduce<number>((product, size) => product * (typeof size === 'number' ? size : 1), 1);
}
