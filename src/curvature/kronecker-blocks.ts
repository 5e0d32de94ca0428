// The Kronecker blocks of a model, without training it: what each parameter will be trained by, and why.
import { GraphError, OptionError } from '../errors.js';
import { formatType, type Node, neededNodes, type Value } from '../graph/graph.js';
import { inline } from '../graph/inline.js';
import type { Model } from '../graph/model.js';
import { Builder } from '../ops/builder.js';
import { type BlockTable, findBlocks, type KroneckerBlock } from './blocks.js';

export interface KroneckerBlocks {
  readonly blocks: readonly (Omit<KroneckerBlock, 'uses'> & {
    /** How often the network applies the layer. */
    readonly uses: number;
  })[];
  /** Parameters outside all blocks, which `cgfac` and `kfac` train by Adam, each with the reason. */
  readonly rest: ReadonlyMap<string, string>;
}

/**
 * The blocks that `cgfac` and `kfac` find in a model, by the names of its parameters. Sizes leave the bias out.
 * @throws OptionError where an input has a symbolic size that is not the batch; GraphError where the model has no output
 * @example
 * const { blocks, rest } = kroneckerBlocks(await loadModel('classifier.onnx'));
 */
export function kroneckerBlocks(model: Model): KroneckerBlocks {
  const { blocks, rest } = oneExample(model).table;
  return { blocks: blocks.map(({ uses, ...block }) => ({ ...block, uses: uses.length })), rest };
}

/**
 * The model on one example, as a training step sees it: its blocks, and the nodes that its first output needs.
 * @throws OptionError where an input has a symbolic size that is not the batch; GraphError where the model has no output
 */
export function oneExample(model: Model): { readonly table: BlockTable; readonly nodes: readonly Node[] } {
  const b = new Builder();
  const bindings = new Map<Value, Value>();
  for (const input of model.graph.inputs) {
    const shape = input.shape.map((size, axis) => {
      if (typeof size === 'number') return size;
      if (axis === 0) return 1;
      throw new OptionError(
        `input '${input.name}' of '${model.name}' is ${formatType(input.type)}: only the batch may be symbolic`,
      );
    });
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
  const [output] = inline(b, { ...model.graph, outputs, nodes: needed }, bindings).outputs.values();
  if (!output) throw new GraphError(`model '${model.name}' has no output`);
  const { nodes } = b.build(model.name, { output });
  return { table: findBlocks(parameters, output), nodes };
}
