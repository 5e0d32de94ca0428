// The Kronecker blocks of a model, without training it: how each parameter will be trained, and why.
import { CgfacError, GraphError } from '../errors.js';
import { assumedSizes } from '../graph/assumed-sizes.js';
import { type Node, neededNodes, type Value } from '../graph/graph.js';
import { inline } from '../graph/inline.js';
import { checkModel, type Model } from '../model/model.js';
import { trainingForm } from '../model/training-mode.js';
import { Builder } from '../ops/builder.js';
import { checkKeys, type OptionKeys } from '../options.js';
import { type BlockTable, findBlocks } from './blocks.js';
import type { KroneckerBlock } from './kronecker-block.js';
import { checkedKinds, type LayerKind, layerKinds } from './layers/index.js';

type Described = 'kind' | 'weight' | 'bias' | 'groups' | 'inputs' | 'outputs' | 'outputsFirst';

export interface KroneckerBlocks {
  readonly blocks: readonly (Pick<KroneckerBlock, Described> & {
    /** Number of nodes that apply the layer. */
    readonly uses: number;
  })[];
  /** Parameters outside all blocks, which `cgfac` and `kfac` train by Adam, each with the reason. */
  readonly rest: ReadonlyMap<string, string>;
}

export interface KroneckerBlockOptions {
  /** The kinds of layers to look for; the library's own, `layerKinds`, by default. */
  readonly layerKinds?: readonly LayerKind[];
}

const keys: OptionKeys<KroneckerBlockOptions> = { layerKinds: true };

/**
 * Return the blocks that `cgfac` and `kfac` find in a model, by the names of its parameters. Sizes are those of one group,
 * without the bias.
 * @throws GraphError if the model has no output or its shapes do not fit together
 * @throws OptionError for unknown options, for anything but a kind of layer, and if a kind does not fit a parameter that it
 *   matches
 * @example
 * const { blocks, rest } = kroneckerBlocks(await loadModel('classifier.onnx'));
 */
export function kroneckerBlocks(model: Model, options: KroneckerBlockOptions = {}): KroneckerBlocks {
  checkModel('kroneckerBlocks', model);
  checkKeys('kroneckerBlocks', options, keys);
  const { blocks, rest } = oneExample(model, checkedKinds(options.layerKinds)).table;
  return {
    blocks: blocks.map(({ kind, weight, bias, groups, inputs, outputs, outputsFirst, uses }) => ({
      ...{ kind, weight, bias, groups, inputs, outputs, outputsFirst },
      uses: uses.length,
    })),
    rest,
  };
}

/** A model applied to one example, as in a training step. */
export interface Example {
  readonly table: BlockTable;
  /** The nodes that its first output needs. */
  readonly nodes: readonly Node[];
  /** Sizes that were assumed for symbolic axes other than the batch. */
  readonly sizes: ReadonlyMap<string, number>;
}

/**
 * Apply a model to one example of fixed size, or to two if its shapes do not fit a batch of 1. The blocks do not depend on
 * the sizes that are assumed for symbolic axes.
 * @throws GraphError if the model has no output or its shapes do not fit together
 */
export function oneExample(model: Model, kinds: readonly LayerKind[] = layerKinds): Example {
  const batches = new Set(
    model.graph.inputs.flatMap(({ shape: [first] }) => (typeof first === 'string' ? [first] : [])),
  );
  const others = new Set(
    model.graph.inputs.flatMap(({ shape }) =>
      shape.filter((size): size is string => typeof size === 'string' && !batches.has(size)),
    ),
  );
  let refusal: unknown;
  for (const batch of [1, 2]) {
    for (const size of others.size === 0 ? [1] : assumedSizes) {
      const sizes = new Map([...others].map((name) => [name, size]));
      try {
        const all = new Map([...sizes, ...[...batches].map((name) => [name, batch] as const)]);
        return { ...atSizes(model, all, kinds), sizes };
      } catch (error) {
        if (!(error instanceof CgfacError)) throw error;
        refusal ??= error;
      }
    }
  }
  throw refusal;
}

function atSizes(
  model: Model,
  sizes: ReadonlyMap<string, number>,
  kinds: readonly LayerKind[],
): Omit<Example, 'sizes'> {
  const b = new Builder();
  const bindings = new Map<Value, Value>();
  for (const input of model.graph.inputs) {
    const shape = input.shape.map((size) => (typeof size === 'number' ? size : (sizes.get(size) ?? size)));
    bindings.set(input, b.input(input.name, input.dtype, shape));
  }
  const parameters = new Map<string, Value>();
  for (const [name, value] of model.parameters) {
    const input = b.input(`parameter.${name}`, value.dtype, value.dims);
    parameters.set(name, input);
    bindings.set(value, input);
  }
  // Other outputs may come from operators that cgfac does not know.
  const outputs = model.graph.outputs.slice(0, 1);
  const needed = neededNodes(
    model.graph.nodes,
    outputs.map(({ value }) => value),
  );
  const [output] = inline(b, { ...model.graph, outputs, nodes: needed }, bindings, trainingForm).outputs.values();
  if (!output) throw new GraphError(`model '${model.name}' has no output`);
  const { nodes } = b.build(model.name, { output });
  return { table: findBlocks(parameters, output, kinds), nodes };
}
