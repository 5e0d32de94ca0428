// Gradient centralization: each output's gradient has mean 0 over its inputs.
import { checkKeys, type NoOptions } from '../../options.js';
import { isKernel, isMatrix, parametersOf } from '../parameters.js';
import type { Transform } from './updates.js';

/**
 * Return the transform that subtracts from the update of a matrix or a kernel its mean over the inputs of each output (Yong
 * et al. 2020, arXiv 2004.01461, equation 1). It does not change vectors and embeddings.
 * @throws OptionError for options: it has none
 * @example
 * chain(centralizeGradients(), sgd({ learningRate: 0.1 }));
 */
export function centralizeGradients(options: NoOptions = {}): Transform {
  checkKeys('centralizeGradients', options, {});
  return (context, updates) => {
    const { b } = context;
    const known = new Map(parametersOf(context).map((parameter) => [parameter.name, parameter]));
    return updates.map((update, name) => {
      const parameter = known.get(name);
      if (!parameter || !(isMatrix(parameter) || isKernel(parameter))) return update;
      const outputs = parameter.outputsFirst ? 0 : 1;
      const inputs = parameter.dims.map((_, axis) => axis).filter((axis) => axis !== outputs);
      return b.sub(update, b.mean(update, inputs, true));
    });
  };
}
