// The definition of an operator: its shape rule, its gradient rule, its cost, and traits.
import { GraphError } from '../errors.js';
import type { GraphBuilder } from '../graph/builder.js';
import type { Node, OperatorRules } from '../graph/graph.js';
import { inputOf, outputOf, Value } from '../graph/graph.js';
import { described, type OptionKeys } from '../options.js';
import type { Builder } from './builder.js';
import { knownCount } from './shapes/shapes.js';

/** A node that has no outputs yet. */
export type NodeDraft = Omit<Node, 'outputs'>;

/** What a gradient rule sees. */
export interface GradientContext {
  readonly b: Builder;
  readonly node: Node;
  /** Input i of the node. */
  readonly x: (index: number) => Value;
  /** Output 0 of the node. */
  readonly y: Value;
  /** Cotangent of output 0: the derivative of the objective by `y`, in the shape of `y`. */
  readonly dy: Value;
  /** Cotangents of all outputs; undefined for an output that the objective does not depend on. */
  readonly cotangents: readonly (Value | undefined)[];
  /**
   * Whether the cotangent of input i is needed; a rule may leave out costly ones that are not needed. The values that a
   * node's bodies capture come after its inputs.
   */
  readonly isWanted: (index: number) => boolean;
  /**
   * Cotangents of the node's inputs by those of its outputs, through a composition of other operators that computes the
   * same outputs: for operators whose gradient is that of their parts.
   */
  readonly through: (expansion: Expansion) => readonly (Value | undefined)[];
  /**
   * Vector–Jacobian products inside any graph, such as a body that the rule builds: for each target the sum over the seeds
   * of cotangentᵀ · ∂value/∂target.
   */
  readonly pull: PullBack;
}

/** Return the cotangents of targets by those of values that are computed from them. */
export type PullBack = (
  b: Builder,
  seeds: readonly { readonly value: Value; readonly cotangent: Value }[],
  targets: readonly Value[],
) => readonly Value[];

/**
 * Cotangents of the inputs, in order, and of the values that bodies capture; undefined for one without (integers, shapes). A rule of a broadcasting
 * operator returns cotangents in the broadcast shape: the walker sums them to the input's shape. A rule is linear in
 * `dy` for every value of it (forward mode differentiates by `dy` at zero), so it never asks whether `dy` is zero; and
 * it selects with Where instead of multiplying by a mask, as 0 · ∞ is not a number.
 * @throws UnsupportedError (without naming the node) for a form of the operator that it does not cover
 */
export type GradientRule = (context: GradientContext) => readonly (Value | undefined)[];

/** Why an operator has no gradient, and what to do: the end of a message that begins with the node's name. */
export interface Refusal {
  readonly refusal: string;
}

/**
 * Return the refusal to differentiate an operator, for its `gradient`: the reason is the message of the error.
 * @example
 * const rounds = composedOperator(({ b, x }) => [b.op('Round', [x(0)])], { gradient: noGradient('it is a step function') });
 */
export const noGradient = (refusal: string): Refusal => ({ refusal });

/** For operators whose outputs are integers, booleans or piecewise constant: their derivative is zero wherever it exists. */
export const zeroGradient: GradientRule = ({ node }) => node.inputs.map(() => undefined);

/** Properties of an operator that passes over whole graphs use, beside its rules. */
export interface OperatorTraits {
  /** It passes the elements of input 0 on, at most in another arrangement: a sigmoid before it is the sigmoid after it. */
  readonly arranges?: true;
  /** It passes the numbers of input 0 on in another element type. */
  readonly converts?: true;
  /** Positions of inputs that are settings, limits or switches, and never weights. */
  readonly settings?: readonly number[];
  /** It normalizes input 0, multiplies it by input 1 and adds input 2 if there is one. */
  readonly normalizes?: true;
  /** Positions of inputs that hold running averages: updated in training, not trained. */
  readonly runningAverages?: readonly number[];
  /** It applies weights: a stored tensor of one number is a weight here, not a constant of a formula. */
  readonly appliesWeights?: true;
  /** It is linear in input 0: a product with weights, an average, a selection. What it gives out may be of any size. */
  readonly linear?: true;
  /** It leaves the classes of input 0 what they are: it may stand between a classifier's last layer and its output. */
  readonly keepsClasses?: true;
  /** It combines two inputs number by number, one of which may be a stored bias, scale or mean. */
  readonly arithmetic?: true;
}

export const traitKeys: OptionKeys<OperatorTraits> = {
  arranges: true,
  converts: true,
  settings: true,
  normalizes: true,
  runningAverages: true,
  appliesWeights: true,
  linear: true,
  keepsClasses: true,
  arithmetic: true,
};

/** What an expansion sees of the node that it writes out. */
export interface ExpansionContext {
  readonly b: Builder;
  readonly node: NodeDraft;
  /** Input i of the node. */
  readonly x: (index: number) => Value;
}

/** Return the outputs of a node, composed of other operators. */
export type Expansion = (context: ExpansionContext) => readonly Value[];

/**
 * The outputs of a node by an expansion, which may be a user's.
 * @param count outputs of the node that somebody reads
 * @throws GraphError (without naming the node) if it does not return a value for each
 */
export function expansionOf(expand: Expansion, b: Builder, node: NodeDraft, count = 1): readonly Value[] {
  const made: unknown = expand({ b, node, x: (index) => inputOf(node, index) });
  const isList = Array.isArray(made);
  const wrong = isList ? made.find((each) => !(each instanceof Value)) : undefined;
  if (isList && made.length >= count && made.every((each) => each instanceof Value)) return made;
  const found = isList && made.length >= count ? `${described(made)} with ${described(wrong)}` : described(made);
  throw new GraphError(
    `what it is composed of (its expand function) is ${found}; return an array of its outputs, a value each${count > 1 ? `: ${count}` : ''}`,
  );
}

/**
 * An operator: the types of what it computes, its gradient, and what else is known of it.
 *
 * ONNX Runtime has to run it. `expand` writes it out in operators that the runtime knows; without it the runtime is given
 * the operator itself, as one of its own (`com.microsoft.BiasGelu`).
 */
export interface OpDefinition extends OperatorRules {
  readonly gradient: GradientRule | Refusal;
  readonly expand?: Expansion;
  /** Whether the runtime has this form of an operator that has an `expand`: it is not written out then. */
  readonly isNative?: (node: NodeDraft) => boolean;
  /**
   * What stands for a node in training, if its weights are trained: the outputs of nodes that show what the curvature is
   * made of, such as pre-activations. By default the node itself; undefined to leave a node as it is.
   */
  readonly training?: (b: GraphBuilder, node: NodeDraft, outputs: number) => readonly Value[] | undefined;
  /**
   * Floating-point operations of one run; by default one for each element of the first output.
   * @param of those of other nodes: of a body
   */
  readonly flops?: (node: Node, of: (node: Node) => number) => number;
  readonly traits?: OperatorTraits;
}

export const definitionKeys: OptionKeys<OpDefinition> = {
  infer: true,
  fold: true,
  gradient: true,
  expand: true,
  isNative: true,
  training: true,
  flops: true,
  traits: true,
};

/** The definitions of a family of operators, by their names (those of other domains as `domain.Name`). */
export type OpFamily<Name extends string> = Readonly<Record<Name, OpDefinition>>;

export type OpTable = Readonly<Record<string, OpDefinition>>;

/** The `flops` of an operator that only moves elements. */
export const noFlops = (): number => 0;

/** The `flops` of an operator that reads each element of its first input once. */
export const oneForEachInput = (node: Node): number => knownCount(node.inputs[0]?.knownType?.shape ?? []);

export function gradientContext(
  b: Builder,
  node: Node,
  cotangents: readonly (Value | undefined)[],
  isWanted: (index: number) => boolean,
  through: GradientContext['through'],
  pull: PullBack,
): GradientContext {
  return {
    b,
    node,
    x: (index) => inputOf(node, index),
    get y() {
      return outputOf(node);
    },
    get dy() {
      // If only another output carries a cotangent, that of output 0 is exactly zero.
      return cotangents[0] ?? b.zerosLike(outputOf(node));
    },
    cotangents,
    isWanted,
    through,
    pull,
  };
}
