// The updates of a program's store after a run: which outputs replace tensors, and which one decides whether they do.
import { OptionError } from '../errors.js';
import { formatType, type TensorType } from '../graph/graph.js';
import type { TensorData } from '../graph/tensor.js';
import type { CompileRequest } from './host/host.js';

/** Check the updates of a program. @throws OptionError if an update has no output, or a stored tensor has two */
export function checkUpdates({ name, outputs, updates }: CompileRequest): void {
  const stored = new Set<string>();
  for (const [output, target] of updates) {
    if (!outputs.has(output)) {
      throw new OptionError(`'${output}' is to update '${target}', but the graph '${name}' has no such output`);
    }
    if (stored.has(target)) throw new OptionError(`two outputs of the graph '${name}' update '${target}'`);
    stored.add(target);
  }
}

/** Check the deciding output. @throws OptionError if `accept` is not a returned output of one number */
export function checkDecision({ name, outputs, updates, accept }: CompileRequest): void {
  if (accept === undefined) return;
  if (!outputs.has(accept)) {
    throw new OptionError(`'${accept}' is to accept updates, but the graph '${name}' has no such output`);
  }
  const target = updates.get(accept);
  if (target !== undefined) {
    throw new OptionError(
      `'${accept}' is to accept the updates of the graph '${name}', and itself updates '${target}'`,
    );
  }
  const type = outputs.get(accept);
  if (type) checkDecisionType(name, accept, type);
}

/**
 * Whether a run's updates happen.
 * @throws OptionError if the deciding output, whose type may not have been known before, is not of one number
 */
export function isAccepted({ name, accept }: CompileRequest, returned: Readonly<Record<string, TensorData>>): boolean {
  const value = accept === undefined ? undefined : returned[accept];
  if (accept === undefined || !value) return true;
  checkDecisionType(name, accept, { dtype: value.dtype, shape: value.dims });
  return Boolean(value.data[0]); // not if 0, 0n or NaN
}

/** 16-bit floats are bits in JavaScript, whose value would have to be decoded. */
function checkDecisionType(name: string, accept: string, type: TensorType): void {
  const isOne = type.shape.every((size) => size === 1 || typeof size === 'string');
  if (isOne && type.dtype !== 'float16' && type.dtype !== 'bfloat16') return;
  throw new OptionError(
    `'${accept}' is to accept the updates of the graph '${name}', but it is ${formatType(type)}: give an output of one ` +
      'element, of bool, integers, float32 or float64',
  );
}
