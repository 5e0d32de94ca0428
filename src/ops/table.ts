// The operator table: every operator cgfac knows, by ONNX name (other domains as `domain.Name`).

import { OptionError } from '../errors.js';
import type { Semantics } from '../graph/builder.js';
import { type Node, outputOf, type Value } from '../graph/graph.js';
import { isFloatingPoint } from '../graph/tensor.js';
import { checkKeys, described, isRecord } from '../options.js';
import { activationOps } from './activations.js';
import { alongAxisOps } from './along-axis.js';
import { controlOps } from './control.js';
import {
  definitionKeys,
  type NodeDraft,
  type OpDefinition,
  type OperatorTraits,
  type OpTable,
  traitKeys,
} from './definition.js';
import { einsumOps } from './einsum.js';
import { elementwiseOps } from './elementwise.js';
import { indexingOps } from './indexing.js';
import { linearAlgebraOps } from './linear-algebra.js';
import { logicOps } from './logic.js';
import { creationOps } from './movement/creation.js';
import { joiningOps } from './movement/joining.js';
import { movementOps } from './movement/movement.js';
import { paddingOps } from './movement/padding.js';
import { slicingOps } from './movement/slicing.js';
import { normalizationOps } from './normalization.js';
import { quantizationOps } from './quantization.js';
import { recurrentOps } from './recurrent/recurrent.js';
import { reductionOps } from './reduction.js';
import { scanOps } from './scan.js';
import { knownCount } from './shapes/shapes.js';
import { convolutionOps } from './spatial/convolution.js';
import { depthSpaceOps } from './spatial/depth-space.js';
import { poolingOps } from './spatial/pooling.js';
import { resizeOps } from './spatial/resize.js';

export const operators = {
  ...elementwiseOps,
  ...activationOps,
  ...logicOps,
  ...linearAlgebraOps,
  ...reductionOps,
  ...alongAxisOps,
  ...movementOps,
  ...joiningOps,
  ...slicingOps,
  ...paddingOps,
  ...creationOps,
  ...indexingOps,
  ...convolutionOps,
  ...poolingOps,
  ...normalizationOps,
  ...resizeOps,
  ...depthSpaceOps,
  ...einsumOps,
  ...controlOps,
  ...scanOps,
  ...recurrentOps,
  ...quantizationOps,
} satisfies OpTable;

/** The names of the operators. */
export type OpName = keyof typeof operators;

/** Return the name of an operator, with its domain if that is not ONNX's own: `my.domain.Name`. */
export const operatorName = ({ op, domain }: Pick<NodeDraft, 'op' | 'domain'>): string =>
  domain === '' ? op : `${domain}.${op}`;

/** Return the definition of a node's operator, or undefined for one that cgfac does not know. */
export function definitionOf(node: Pick<NodeDraft, 'op' | 'domain' | 'definition'>): OpDefinition | undefined {
  if (node.definition) return node.definition as OpDefinition; // nodes are given whole definitions: see checkOperators
  const name = operatorName(node);
  return Object.hasOwn(operators, name) ? operators[name as OpName] : undefined;
}

/** Return the traits of a node's operator, none if it is not known. */
export const traitsOf = (node: Pick<NodeDraft, 'op' | 'domain' | 'definition'>): OperatorTraits =>
  definitionOf(node)?.traits ?? {};

/** Whether a node passes the numbers of its first input on, in another arrangement or element type. */
export function isSameNumbers(node: Node): boolean {
  const { arranges, converts } = traitsOf(node);
  return arranges === true || converts === true;
}

/** Whether a value is computed by an operator that cgfac does not know, or has a shape that is only known when the program runs. */
const isUntyped = (input: Value | undefined): boolean => input !== undefined && input.knownType === undefined;

/**
 * How the builder learns types and constants. What an unknown operator computes, and what follows from it, has no type;
 * that is an error only if the type is used.
 */
export const semantics: Semantics = {
  infer: (node) => (node.inputs.some(isUntyped) ? [] : (definitionOf(node)?.infer(node) ?? [])),
  fold: (node) => definitionOf(node)?.fold?.(node),
};

/**
 * Check the operators that a user gives.
 * @throws OptionError for names that the table has already, for values that are not definitions, and for parts that none has
 */
export function checkOperators(given: OpTable): void {
  if (!isRecord(given)) {
    throw new OptionError(`the operators are ${described(given)}; give definitions by name: { 'my.domain.Name': … }`);
  }
  for (const [name, definition] of Object.entries(given)) {
    if (Object.hasOwn(operators, name)) {
      throw new OptionError(`cgfac knows the operator '${name}' already: give one of yours a domain of its own`);
    }
    const parts: unknown = definition;
    if (isRecord(parts) && isDefinition(parts)) {
      checkKeys(`the operator '${name}'`, definition, definitionKeys);
      if (definition.traits !== undefined) checkKeys(`the traits of '${name}'`, definition.traits, traitKeys);
      continue;
    }
    throw new OptionError(
      `the operator '${name}' is ${described(definition)}; give { infer, gradient } and how to compose it of others (expand), as composedOperator returns them`,
    );
  }
}

function isDefinition({ infer, gradient, ...others }: Readonly<Record<string, unknown>>): boolean {
  const isRule = typeof gradient === 'function' || (isRecord(gradient) && typeof gradient.refusal === 'string');
  const functions = [others.expand, others.fold, others.flops, others.isNative, others.training];
  return (
    typeof infer === 'function' && isRule && functions.every((one) => one === undefined || typeof one === 'function')
  );
}

/** Return the floating-point operations of one run of a node; a multiplication and an addition count as two. */
export function flopsOf(node: Node): number {
  const definition = definitionOf(node);
  if (!definition) return 0;
  if (definition.flops) return definition.flops(node, flopsOf);
  const type = outputOf(node).knownType;
  return type && isFloatingPoint(type.dtype) ? knownCount(type.shape) : 0;
}
