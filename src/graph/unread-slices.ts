// Removes the sequences that a Scan puts together and nothing reads, and what its body computes for them alone: the runtime would
// compute them, and keep them as long as the Scan runs.
import {
  body,
  type Graph,
  intAttribute,
  ints,
  intsAttribute,
  mapBodies,
  type Node,
  neededNodes,
  type Value,
} from './graph.js';
import { usesIn } from './uses.js';

/** Return a graph whose Scans, those in bodies among them, give out only sequences that are read. */
export function withoutUnreadSlices(graph: Graph): Graph {
  const read = new Set<Value>(usesIn(graph).keys());
  return pruned(graph, read);
}

function pruned(graph: Graph, read: Set<Value>): Graph {
  for (const { value } of graph.outputs) read.add(value);
  const nodes = graph.nodes.map((node) => prunedNode(node, read));
  return { ...graph, nodes };
}

function prunedNode(node: Node, read: Set<Value>): Node {
  const isScan = node.op === 'Scan' && node.domain === '';
  const own = isScan ? prunedScan(node, read) : node;
  const attributes = mapBodies(own.attributes, (inner) => pruned(inner, read));
  const copy = { ...own, attributes };
  for (const output of copy.outputs) output.producer = copy;
  return copy;
}

function prunedScan(node: Node, read: ReadonlySet<Value>): Node {
  const attribute = node.attributes.body;
  if (attribute?.kind !== 'graph') return node;
  const { value: round } = attribute;
  const carried = node.inputs.length - intAttribute(node, 'num_scan_inputs', 0);
  const isKept = (index: number): boolean => {
    const output = node.outputs[index];
    return index < carried || (output !== undefined && read.has(output));
  };
  if (node.outputs.every((_, i) => isKept(i))) return node;
  const outputs = round.outputs.filter((_, i) => isKept(i));
  const nodes = neededNodes(
    round.nodes,
    outputs.map(({ value }) => value),
  );
  const directions = intsAttribute(node, 'scan_output_directions');
  return {
    ...node,
    outputs: node.outputs.filter((_, i) => isKept(i)),
    attributes: {
      ...node.attributes,
      body: body({ ...round, outputs, nodes }),
      ...(directions && { scan_output_directions: ints(directions.filter((_, i) => isKept(carried + i))) }),
    },
  };
}
