// A loss whose members are held to their contract when they are called: a mistake in a loss of one's own is said by its
// name, where it happens, and not by what breaks later.
import { OptionError } from '../errors.js';
import { formatType, type TensorType, Value } from '../graph/graph.js';
import { isDataType, isFloatingPoint } from '../graph/tensor.js';
import { described, isRecord } from '../options.js';
import type { Loss } from './loss.js';

/** Losses that are checked already. */
const checkedLosses = new WeakSet<Loss>();

/** Return the loss with members that throw an OptionError if they return what they must not. */
export function checkedLoss(loss: Loss): Loss {
  if (checkedLosses.has(loss)) return loss;
  const value: Loss['value'] = (...given) => checkedScalar(loss, 'value', loss.value(...given));
  const targetType: Loss['targetType'] = (output, dtype) => checkedType(loss, output, loss.targetType(output, dtype));
  const { contained, expected, mass, inUnits } = loss;
  // The members of a class are not its own, and may read its private fields: all are called on the loss itself.
  const members: Partial<Loss> = {
    value,
    targetType,
    ...(contained && { contained: (...given) => checkedValue(loss, 'contained', contained.apply(loss, given)) }),
    ...(expected && { expected: (...given) => checkedValue(loss, 'expected', expected.apply(loss, given)) }),
    ...(mass && { mass: (...given) => checkedScalar(loss, 'mass', mass.apply(loss, given)) }),
    ...(inUnits && { inUnits: (...given) => checkedScalar(loss, 'inUnits', inUnits.apply(loss, given)) }),
  };
  const checked: Loss = Object.assign(Object.create(loss), members);
  checkedLosses.add(checked);
  return checked;
}

const wrong = ({ name }: Loss, member: string, returned: string, wanted: string): OptionError =>
  new OptionError(`${member} of the loss '${name}' returned ${returned}; it must return ${wanted}`);

function checkedValue(loss: Loss, member: string, returned: unknown): Value {
  if (returned instanceof Value) return returned;
  throw wrong(loss, member, described(returned), 'a Value of the builder b');
}

function checkedScalar(loss: Loss, member: string, returned: unknown): Value {
  const wanted = 'a scalar: a Value of real numbers without axes, as b.mean(x) and b.sum(x) are';
  if (!(returned instanceof Value)) throw wrong(loss, member, described(returned), wanted);
  if (returned.rank === 0 && isFloatingPoint(returned.dtype)) return returned;
  throw wrong(loss, member, formatType(returned.type), wanted);
}

/** Targets have the examples of the output, and its rank; labels may lack the axis of the classes. */
function checkedType(loss: Loss, output: TensorType, returned: unknown): TensorType {
  const wanted = `the type of the targets, such as ${loss.targets === 'labels' ? "{ dtype: 'int64', shape: output.shape.slice(0, -1) }" : 'that of the output'}`;
  if (!isRecord(returned)) throw wrong(loss, 'targetType', described(returned), wanted);
  const { dtype, shape } = returned;
  const isShape = Array.isArray(shape) && shape.every((size) => typeof size === 'string' || Number.isInteger(size));
  if (typeof dtype !== 'string' || !isDataType(dtype) || !isShape) {
    throw wrong(loss, 'targetType', described(returned), wanted);
  }
  const ranks = loss.targets === 'labels' ? [output.shape.length - 1, output.shape.length] : [output.shape.length];
  if (shape[0] === output.shape[0] && ranks.includes(shape.length)) return { dtype, shape };
  throw wrong(
    loss,
    'targetType',
    `${formatType({ dtype, shape })} for an output of ${formatType(output)}`,
    `${wanted}: with the examples on the first axis and ${ranks.join(' or ')} axes, or targets would be repeated`,
  );
}
