// The inputs of a model, be they data, tensors or values: one, which needs no name, or several by the names that the model
// has for them. Most code treats the two alike by mapping over them.
import type { DataType } from './tensor.js';

interface Typed {
  readonly dtype: DataType;
}

/** The one input, or several by name. */
export type Inputs<Column extends Typed> = Column | Readonly<Record<string, Column>>;

/** Whether there is one input without a name. */
export const isUnnamed = <Column extends Typed>(inputs: Inputs<Column>): inputs is Column =>
  typeof inputs.dtype === 'string'; // a column of that name is an object

/** Return the inputs with their names; undefined stands for the missing name of a single input. */
export function listInputs<Column extends Typed>(
  inputs: Inputs<Column>,
): readonly (readonly [name: string | undefined, column: Column])[] {
  return isUnnamed(inputs) ? [[undefined, inputs]] : Object.entries(inputs);
}

/** Return the inputs with a change applied to each, under the same names. */
export function mapInputs<Column extends Typed, Result extends Typed>(
  inputs: Inputs<Column>,
  change: (column: Column, name: string | undefined) => Result,
): Inputs<Result> {
  if (isUnnamed(inputs)) return change(inputs, undefined);
  return Object.fromEntries(Object.entries(inputs).map(([name, column]) => [name, change(column, name)]));
}

/** Return the input of a name; undefined for a name returns the one without. */
export const inputNamed = <Column extends Typed>(
  inputs: Inputs<Column>,
  name: string | undefined,
): Column | undefined => listInputs(inputs).find(([other]) => other === name)?.[1];

/** Return the names of the inputs for messages: `'input_ids', 'attention_mask'`. */
export const inputNames = <Column extends Typed>(inputs: Inputs<Column>): string =>
  listInputs(inputs)
    .map(([name]) => (name === undefined ? 'one without a name' : `'${name}'`))
    .join(', ');
