// Names of numbers that a step reports of one layer: `cosine[fc1.weight]`. Optimizers write them, reports read them.

/** Return the name of a number of a layer. */
export const layerReport = (measure: string, layer: string): string => `${measure}[${layer}]`;

/** Return the parts of such a name; undefined for a number of the whole step. */
export function layerReportParts(name: string): { readonly measure: string; readonly layer: string } | undefined {
  const [, measure, layer] = /^([^[]+)\[(.+)\]$/.exec(name) ?? [];
  return measure !== undefined && layer !== undefined ? { measure, layer } : undefined;
}
