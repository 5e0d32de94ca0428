// Where test data lie: small models in the repository, large data in a folder `shared` beside the checkout.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Models that PyTorch exported, with the losses and gradients that it computed: `NAME.onnx` and `NAME.reference.json`. */
export const exportedModels = new URL('../fixtures/models/', import.meta.url);

/** A path beside the checkout, whether or not there is something. */
export const besideCheckout = (path: string): string =>
  fileURLToPath(new URL(`../../../shared/${path}`, import.meta.url));

/** Whether tests of a path beside the checkout run: if it is there, or if `CGFAC_REQUIRE_ALL=1` says that nothing may be skipped. */
export function runsWith(path: string): boolean {
  const runs = existsSync(path) || process.env.CGFAC_REQUIRE_ALL === '1';
  if (!runs) console.warn(`skipped: tests that need ${path}, which is not there`);
  return runs;
}
