import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FileError } from './errors.js';
import { exactJson, type Json, readExactJson } from './exact-json.js';

const value = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    fc.double(),
    fc.constantFrom(Number.NaN, Infinity, -Infinity, -0, 0),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.string(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('$', '$$', '$n', '__proto__', 'toString')), tie('json'), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  ),
})).json;

it('reads back every value with all its bits', () => {
  fc.assert(
    fc.property(value, (given) => {
      const text = exactJson(given);
      expect(readExactJson(text)).toStrictEqual(given); // tells −0 from 0
      expect(exactJson(readExactJson(text))).toBe(text);
    }),
  );
});

it('leaves out undefined as JSON does, and refuses what it would lose', () => {
  expect(exactJson({ a: undefined, b: 1 })).toBe('{"b":1}');
  expect(() => exactJson({ list: [1, new Map() as unknown as Json] })).toThrow(FileError);
  expect(() => exactJson({ list: [1, new Map() as unknown as Json] })).toThrow(/the value\.list\[1\] is a Map/);
  expect(() => exactJson([undefined as unknown as Json])).toThrow(/the value\[0\] is undefined/);
});

it.each(['', '{', '{"$":"1e5"}', '{"$":7}', '[{"$":"0x10n"}]'])('refuses a text of another kind: %s', (text) => {
  expect(() => readExactJson(text)).toThrow(FileError);
});
