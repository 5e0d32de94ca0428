// Every gradient rule against central differences, and every operator of the table against this list.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CaseTable, checkGradients, type GradientCase } from '../../test/support/gradient-check.js';
import { activationCases } from '../../test/support/ops/activations.js';
import { convolutionCases } from '../../test/support/ops/convolution.js';
import { einsumCases } from '../../test/support/ops/einsum.js';
import { elementwiseCases } from '../../test/support/ops/elementwise.js';
import { indexingCases } from '../../test/support/ops/indexing.js';
import { linearAlgebraCases } from '../../test/support/ops/linear-algebra.js';
import { logicCases } from '../../test/support/ops/logic.js';
import { movementCases } from '../../test/support/ops/movement.js';
import { normalizationCases } from '../../test/support/ops/normalization.js';
import { poolingCases } from '../../test/support/ops/pooling.js';
import { gruCases, lstmCases, rnnCases } from '../../test/support/ops/recurrent.js';
import { reductionCases } from '../../test/support/ops/reduction.js';
import { resizeCases } from '../../test/support/ops/resize.js';
import { zeroGradient } from './definition.js';
import { operators } from './table.js';

/** One line for each family: a file of src/ops/testing. */
const families: Readonly<Record<string, CaseTable>> = {
  elementwise: elementwiseCases,
  activations: activationCases,
  logic: logicCases,
  'linear algebra': linearAlgebraCases,
  reduction: reductionCases,
  movement: movementCases,
  convolution: convolutionCases,
  indexing: indexingCases,
  pooling: poolingCases,
  einsum: einsumCases,
  resizing: resizeCases,
  normalization: normalizationCases,
  LSTM: lstmCases,
  GRU: gruCases,
  'Scan and RNN': rnnCases,
};

/** Cases of an operator: as written, or so many drawn from its generator. */
function casesOf(entry: CaseTable[string]): readonly GradientCase[] {
  if (entry === 'discrete') return [];
  return 'generate' in entry ? fc.sample(entry, { numRuns: 10, seed: 7 }) : (entry as readonly GradientCase[]);
}

for (const [family, table] of Object.entries(families)) {
  test(`gradients of ${family}`, async () => {
    expect(await checkGradients(Object.values(table).flatMap(casesOf))).toEqual([]);
  });
}

test('every operator is checked, or refuses to be differentiated in words', () => {
  const unchecked = Object.entries(operators).flatMap(([name, { gradient }]) => {
    const entries = Object.values(families).flatMap((table) => (Object.hasOwn(table, name) ? [table[name]] : []));
    if ('refusal' in gradient) return gradient.refusal.length > 20 && entries.length === 0 ? [] : [`${name}: refusal`];
    const [entry] = entries;
    if (entry === undefined || entries.length > 1) return [`${name}: ${entries.length} entries in the case tables`];
    return entry === 'discrete' && gradient !== zeroGradient ? [`${name}: has a rule that is not checked`] : [];
  });
  expect(unchecked).toEqual([]);
});
