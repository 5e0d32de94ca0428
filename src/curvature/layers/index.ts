// The kinds of layers that have Kronecker blocks, in the order in which they match a reading of a parameter.
import { OptionError } from '../../errors.js';
import { described, isRecord } from '../../options.js';
import { convolution } from './convolution.js';
import { dense } from './dense.js';
import { embedding } from './embedding.js';
import type { LayerKind } from './layer-kind.js';
import { recurrentInputs, recurrentStates } from './recurrent.js';
import { scaleAndShift } from './scale-and-shift.js';
import { shift } from './shift.js';
import { transposedConvolution } from './transposed-convolution.js';

export {
  type Application,
  axisRows,
  type BiasPart,
  type LayerKind,
  type LayerUse,
  type Reading,
} from './layer-kind.js';

/** The kinds of layers that the library knows. With further ones in the list, more parameters have Kronecker blocks. */
export const layerKinds: readonly LayerKind[] = [
  dense,
  convolution,
  transposedConvolution,
  embedding,
  recurrentInputs,
  recurrentStates,
  scaleAndShift,
  shift,
];

/**
 * Return the given kinds of layers, or the library's if none are given.
 * @throws OptionError for anything but a list of kinds of layers, and for two of one name
 */
export function checkedKinds(given: readonly LayerKind[] | undefined): readonly LayerKind[] {
  if (given === undefined) return layerKinds;
  if (!Array.isArray(given)) {
    throw new OptionError(`layerKinds is ${described(given)}; give a list such as [...layerKinds, own]`);
  }
  for (const each of given) {
    if (!isKind(each)) throw new OptionError(`layerKinds has ${described(each)}; a kind of layer has ${contract}`);
  }
  const names = given.map(({ kind }) => kind);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return given;
  throw new OptionError(
    `layerKinds has two kinds named '${twice}'; give yours another name, or leave the other one out`,
  );
}

const contract = "kind, match, decays, and factor: 'full', 'diagonal' or 'identity', the first two with inputRows";

function isKind(given: unknown): boolean {
  if (!isRecord(given)) return false;
  const { kind, match, decays, factor, inputRows, inputDiagonal } = given;
  const rows = new Map([
    ['full', [inputRows]],
    ['diagonal', [inputRows, inputDiagonal]],
    ['identity', []],
  ]).get(String(factor));
  const functions = rows && [match, ...rows];
  return typeof kind === 'string' && typeof decays === 'boolean' && !!functions?.every((f) => typeof f === 'function');
}
