// The JSON values that a flag takes in a file, as a JSON schema. A reader of a flag may say so itself; else its form tells.
import type { Option } from 'commander';
import type { Range } from '../options.js';

type TypeName = 'number' | 'integer' | 'string' | 'boolean' | 'array';

export interface ValueSchema {
  readonly type: TypeName | readonly TypeName[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly enum?: readonly string[];
  readonly items?: { readonly type: 'string' };
  readonly minItems?: number;
  /** Joins the items of a list to the one word that the command line takes; without it the flag is repeated. */
  readonly separator?: string;
}

const schemas = new WeakMap<object, ValueSchema>();

/** Return the reader of a flag, and note the JSON values that it takes. */
export function reads<Reader extends (...words: never[]) => unknown>(schema: ValueSchema, reader: Reader): Reader {
  schemas.set(reader, schema);
  return reader;
}

/** Return the schema of a number in a range. */
export const numberSchema = ({ integer, atLeast, atMost, above, below }: Range): ValueSchema => ({
  type: integer ? 'integer' : 'number',
  ...(atLeast !== undefined && { minimum: atLeast }),
  ...(atMost !== undefined && { maximum: atMost }),
  ...(above !== undefined && { exclusiveMinimum: above }),
  ...(below !== undefined && { exclusiveMaximum: below }),
});

/** Texts, one by one or in a list. @param separator joins them to one word, if the flag is not repeated */
export const listSchema = (separator?: string): ValueSchema => ({
  type: ['string', 'array'],
  items: { type: 'string' },
  minItems: 1,
  ...(separator !== undefined && { separator }),
});

/** Return the schema of a flag. A text with a reader of its own may be a number: `30` where `30s` could be. */
export function schemaOf(flag: Option): ValueSchema {
  if (flag.isBoolean() || flag.negate) return { type: 'boolean' };
  if (flag.argChoices) return { type: 'string', enum: flag.argChoices };
  const known = flag.parseArg && schemas.get(flag.parseArg);
  const schema = known ?? { type: flag.parseArg ? (['string', 'number'] as const) : ('string' as const) };
  if (!flag.optional) return schema;
  return { ...schema, type: [...new Set([schema.type, 'boolean' as const].flat())] };
}
