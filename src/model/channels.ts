// Pictures have their channels first, `[batch, channels, height, width]`; models that came from TensorFlow have them last.
// Data are given to such a model through a Transpose, in the program of training and not in the model's file.
import type { Shape, Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { sameShape } from '../ops/shapes/shapes.js';

/** Whether a tensor of pictures fits a shape only with its channels last. Symbolic sizes fit all. */
export function takesChannelsLast(declared: Shape, given: Shape): boolean {
  const [batch, channels, height, width] = given;
  if (declared.length !== 4 || given.length !== 4 || sameShape(declared, given)) return false;
  const fits = (sizes: Shape) =>
    sizes.every((size, axis) => typeof declared[axis] === 'string' || size === declared[axis]);
  return typeof declared[3] === 'number' && !fits(given) && fits([batch, height, width, channels] as Shape);
}

/** Pictures as a model has them. */
export const asDeclared = (b: Builder, pictures: Value, declared: Shape): Value =>
  takesChannelsLast(declared, pictures.shape) ? b.transpose(pictures, [0, 2, 3, 1]) : pictures;
