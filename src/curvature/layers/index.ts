// The kinds of layers that have Kronecker blocks, in the order in which a reading of a parameter is shown to them.
import { convolution } from './convolution.js';
import { dense } from './dense.js';
import { embedding } from './embedding.js';
import type { LayerKind } from './layer-kind.js';
import { scaleAndShift } from './scale-and-shift.js';
import { shift } from './shift.js';
import { transposedConvolution } from './transposed-convolution.js';

export type { Application, LayerKind, LayerUse, Reading } from './layer-kind.js';

/** The kinds of layers that the library knows. A list with more of them makes more parameters second order. */
export const layerKinds: readonly LayerKind[] = [
  dense,
  convolution,
  transposedConvolution,
  embedding,
  scaleAndShift,
  shift,
];
