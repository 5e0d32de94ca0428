// The natural gradients of all blocks: those that are Kronecker products by the damping, the others by their own forms.
import type { KroneckerBlock } from '../../curvature/kronecker-block.js';
import type { Value } from '../../graph/graph.js';
import type { BlockDirection, MeasuredBlock } from './block.js';
import { type BlockForm, isMeasured } from './block-form.js';
import type { Damping, DampingInput } from './damping.js';
import type { Measure } from './refresh.js';

/** Return the blocks with their natural gradients. The curvature of all of them is measured at the same steps. */
export function preconditioned(
  damping: Damping,
  formOf: (block: KroneckerBlock) => BlockForm,
  input: DampingInput,
): readonly BlockDirection[] {
  const { context, blocks, delta } = input;
  const isProduct = ({ block }: { readonly block: KroneckerBlock }) => !isMeasured(formOf(block));
  const products = blocks.filter(isProduct);
  if (products.length === blocks.length) return damping.precondition(input);
  const curvatures = new Map<string, Value>();
  let kept: ((value: Value) => Value) | undefined;
  const measure: Measure = (make) => {
    const refreshed = input.measure((inner, all) => {
      const made = make(inner, all.filter(isProduct));
      const own = all.flatMap((each: MeasuredBlock): [string, Value][] => {
        const form = formOf(each.block);
        return isMeasured(form) ? [[each.block.weight, form.measure(inner, each)]] : [];
      });
      for (const [weight, curvature] of own) curvatures.set(weight, curvature);
      const named = own.map(([weight, curvature]): [string, Value] => [`curvature.${weight}`, curvature]);
      return { ...made, keeps: new Map([...made.keeps, ...named]) };
    });
    kept = refreshed.kept;
    return refreshed;
  };
  const solved = products.length > 0 ? damping.precondition({ ...input, blocks: products, measure }) : [];
  // A damping need not measure: the Fisher matrix of the examples themselves has no use for rows.
  const keptOf = kept ?? measure(() => ({ keeps: new Map() })).kept;
  const others = blocks.flatMap((block): BlockDirection[] => {
    const form = formOf(block.block);
    if (!isMeasured(form)) return [];
    const curvature = keptOf(curvatures.get(block.block.weight) as Value); // measured above
    return [form.precondition({ context, block, curvature, delta })];
  });
  return [...solved, ...others];
}
