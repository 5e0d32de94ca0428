// Loop and If: how a solver iterates inside one program. They are not differentiated.
import { GraphError } from '../errors.js';
import type { Graph, TensorType } from '../graph/graph.js';
import { type NodeDraft, noGradient, type OpFamily } from './definition.js';

function body(node: NodeDraft, name: string): Graph {
  const attribute = node.attributes[name];
  if (attribute?.kind !== 'graph') throw new GraphError(`lacks its graph '${name}'`);
  return attribute.value;
}

const outputTypes = (graph: Graph): (TensorType | undefined)[] => graph.outputs.map(({ value }) => value.knownType);

export type ControlOp = 'Loop' | 'If';

export const controlOps: OpFamily<ControlOp> = {
  Loop: {
    // Carried values keep the types that they begin with; scan outputs (one more leading axis) are left untyped.
    infer: (node) => {
      const carried = node.inputs.slice(2);
      const produced = outputTypes(body(node, 'body')).slice(1);
      if (produced.length !== carried.length) {
        return [...carried.map((value) => value?.knownType), ...produced.slice(carried.length).map(() => undefined)];
      }
      return carried.map((value) => value?.knownType);
    },
    gradient: noGradient('loops are not differentiated; unroll it, or keep trainable parameters out of it'),
  },
  If: {
    infer: (node) => outputTypes(body(node, 'then_branch')),
    gradient: noGradient('branches are not differentiated; use Where, or keep trainable parameters out of it'),
  },
};
