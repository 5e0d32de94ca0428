// What a kind of layer, which may be a user's, returns: checked where it is called, and refused by the name of the kind.
import { OptionError } from '../../errors.js';
import { formatType, Value } from '../../graph/graph.js';
import { elementCount } from '../../graph/tensor.js';
import { described, isRecord } from '../../options.js';
import type { Application, LayerKind, LayerUse, Reading } from './layer-kind.js';

/**
 * What the kind says about a reading.
 * @throws OptionError if that is neither a layer, nor words, nor undefined
 */
export function checkedMatch(layer: LayerKind, reading: Reading): Application | string | undefined {
  const found: unknown = layer.match(reading);
  if (found === undefined || typeof found === 'string') return found;
  if (!isApplication(found)) {
    throw new OptionError(
      `layer kind '${layer.kind}': match returned ${described(found)}; return { node, activations, inputs, outputs, outputsFirst, outputAxes }, words for a parameter without a block, or undefined`,
    );
  }
  const { node, groups = 1, inputs, outputs, outputAxes } = found;
  // Sizes that are not the parameter's are refused with its name, which is not known here.
  if (groups * inputs * outputs !== elementCount(reading.value.dims)) return found;
  const output = found.preActivations ?? node.outputs[0];
  const { shape = [] } = output?.knownType ?? {};
  const [from, to] = outputAxes;
  const columns = shape.slice(from, to);
  const count = columns.reduce<number>((product, size) => product * (typeof size === 'number' ? size : 1), 1);
  const isKnown = columns.every((size) => typeof size === 'number');
  const isRange = Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from < to && to <= shape.length;
  if (isRange && (!isKnown || layer.outputRows || count === groups * outputs)) return found;
  throw new OptionError(
    `layer kind '${layer.kind}': outputAxes is [${outputAxes.join(', ')}], and the output of ${node.op} is ${formatType(output?.knownType)}; ` +
      `give the axes that hold its ${groups * outputs} outputs, from the first to the one after the last`,
  );
}

function isApplication(found: unknown): found is Application {
  if (!isRecord(found)) return false;
  const { node, activations, groups = 1, inputs, outputs, outputsFirst, outputAxes } = found;
  const isCount = (size: unknown): boolean => typeof size === 'number' && Number.isInteger(size) && size > 0;
  return (
    isRecord(node) &&
    Array.isArray(node.outputs) &&
    activations instanceof Value &&
    [groups, inputs, outputs].every(isCount) &&
    typeof outputsFirst === 'boolean' &&
    Array.isArray(outputAxes) &&
    outputAxes.length === 2
  );
}

/**
 * Rows that a kind made of a use: `[rows, columns]`, or `[groups, rows, columns]` of several groups.
 * @throws OptionError for anything else
 */
export function checkedRows(
  member: string,
  { layer, groups, preActivations }: LayerUse,
  columns: number,
  rows: unknown,
): Value {
  const shape = [...(groups === 1 ? [] : [groups]), 'rows', columns];
  if (rows instanceof Value) {
    const { dtype, shape: found } = rows;
    const isShape = found.length === shape.length && shape.every((size, i) => size === 'rows' || size === found[i]);
    if (isShape && dtype === preActivations.dtype) return rows;
  }
  throw new OptionError(
    `layer kind '${layer.kind}': ${member} returned ${rows instanceof Value ? formatType(rows.knownType) : described(rows)}; ` +
      `return ${preActivations.dtype}[${shape.join(', ')}]`,
  );
}

/**
 * A diagonal that a kind made: `[inputs]`.
 * @throws OptionError for anything else
 */
export function checkedDiagonal({ layer, inputs, preActivations: { dtype } }: LayerUse, diagonal: unknown): Value {
  const type = `${dtype}[${inputs}]`;
  const found = diagonal instanceof Value ? formatType(diagonal.knownType) : described(diagonal);
  if (diagonal instanceof Value && found === type) return diagonal;
  throw new OptionError(`layer kind '${layer.kind}': inputDiagonal returned ${found}; return ${type}`);
}
