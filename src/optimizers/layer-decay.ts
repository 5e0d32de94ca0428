// Learning rates that fall from the output of a network to its input, layer by layer, for fine-tuning.
import { dependencies, type Node, type Value } from '../graph/graph.js';
import { checkedNumber } from '../options.js';
import type { Optimizer } from './optimizer.js';
import { tunedStep } from './tuning.js';

/**
 * Return the optimizer with the learning rate of each layer multiplied by `factor` for each layer between it and the output
 * (Howard & Ruder 2018, arXiv 1801.06146, section 3.2; BERT's and ViT's fine-tuning). A layer is whatever applies a matrix, a
 * kernel or a table; biases, scales and shifts belong to the layer before them. Of parallel paths the one with most layers counts.
 * @param factor in (0, 1]
 * @throws OptionError if the factor is out of range; when a run begins, if the optimizer has no learning rate
 * @example
 * const optimizer = layerwiseDecay(adamw({ learningRate: 0.001 }), 0.8);
 */
export function layerwiseDecay(optimizer: Optimizer, factor: number): Optimizer {
  checkedNumber('the factor of layerwiseDecay', factor, { above: 0, atMost: 1 });
  return {
    ...optimizer,
    build(context) {
      const heights = heightsOf(context.parameters, context.forward.output);
      const top = Math.max(...heights.values(), 0);
      return tunedStep(
        optimizer,
        context,
        { what: 'layerwiseDecay', needs: ['learning rate'] },
        { share: (name) => factor ** (top - (heights.get(name) ?? top)) },
      );
    },
  };
}

/** What a value is made of: of data, after so many layers, or of parameters alone. */
type Origin = { readonly height: number } | { readonly parameters: readonly string[] };

const fixed: Origin = { parameters: [] };

/** Return the number of layers up to each parameter's own, counted from the input. */
export function heightsOf(parameters: ReadonlyMap<string, Value>, output: Value): ReadonlyMap<string, number> {
  const names = new Map([...parameters].map(([name, value]) => [value, name]));
  const known = new Map<Value, Origin>();
  const heights = new Map<string, number>();
  const originOf = (value: Value): Origin => {
    const name = names.get(value);
    if (name !== undefined) return { parameters: [name] };
    return known.get(value) ?? (value.producer || value.constant ? fixed : { height: 0 });
  };
  for (const node of inOrder(output)) {
    const origins = dependencies(node).map(originOf);
    const used = origins.flatMap((origin) => ('parameters' in origin ? origin.parameters : []));
    const below = origins.flatMap((origin) => ('height' in origin ? [origin.height] : []));
    if (below.length === 0) {
      for (const made of node.outputs) known.set(made, { parameters: used });
      continue;
    }
    const isLayer = used.some((name) => (parameters.get(name)?.dims.filter((size) => size > 1).length ?? 0) > 1);
    const height = Math.max(...below) + (isLayer ? 1 : 0);
    for (const name of used) heights.set(name, Math.max(heights.get(name) ?? 0, height));
    for (const made of node.outputs) known.set(made, { height });
  }
  return heights;
}

/** The nodes that a value is computed by, each after those that it depends on. */
function inOrder(output: Value): readonly Node[] {
  const order = new Set<Node>();
  const seen = new Set<Node>();
  // Depth first without recursion: exported networks are thousands of nodes deep.
  const stack: { readonly node: Node; readonly isReady: boolean }[] = [];
  const visit = ({ producer }: Value) => {
    if (producer && !seen.has(producer)) stack.push({ node: producer, isReady: false });
  };
  visit(output);
  for (let top = stack.pop(); top; top = stack.pop()) {
    if (top.isReady) order.add(top.node);
    else if (!seen.has(top.node)) {
      seen.add(top.node);
      stack.push({ node: top.node, isReady: true });
      for (const input of dependencies(top.node)) visit(input);
    }
  }
  return [...order];
}
