import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { besideCheckout, runsWith } from '../../../test/support/outside.js';
import { FileError } from '../../errors.js';
import { gatherBatch } from '../batches.js';
import { onlyInput } from '../dataset.js';
import { readText, textSplits } from './text.js';

const encode = (text: string) => new TextEncoder().encode(text);

describe('textSplits', () => {
  it('cuts windows whose targets are the next characters, and holds out the end', () => {
    // 40 characters: 36 to train on, 4 to test.
    const text = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJ😀klm';
    const { train, test } = textSplits(encode(text), 'x.txt', { context: 3 });
    const read = (set: typeof train, row: number) => {
      const batch = gatherBatch(set, [row]);
      const spell = (data: ArrayLike<number | bigint>) =>
        Array.from(data, (token) => set.classes?.[Number(token)]).join('');
      return [spell(onlyInput(batch).data), spell(batch.target.data)];
    };
    expect(train.size).toBe(33);
    expect(read(train, 0)).toEqual(['abc', 'bcd']);
    expect(read(train, 32)).toEqual(['GHI', 'HIJ']);
    expect(test.size).toBe(1);
    expect(read(test, 0)).toEqual(['😀kl', 'klm']);
    expect(() => gatherBatch(train, [33])).toThrow('has no example 33');
    const apart = textSplits(encode(text), 'x.txt', { context: 3, stride: 3 }).train;
    expect([apart.size, ...read(apart, 1)]).toEqual([11, 'def', 'efg']);
  });

  it('keeps every window inside its part, whatever the sizes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 40, max: 200 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 9 }),
        (length, context, stride) => {
          const { train, test } = textSplits(encode('ab'.repeat(length).slice(0, length)), 'x', { context, stride });
          for (const set of [train, test]) {
            expect(gatherBatch(set, [set.size - 1]).target.data.length).toBe(context);
            // One window more would run over the end.
            const step = onlyInput(set).stride ?? 0;
            expect(set.size * step + context + 1).toBeGreaterThan(onlyInput(set).data.length);
            expect((set.size - 1) * step + context + 1).toBeLessThanOrEqual(onlyInput(set).data.length);
          }
        },
      ),
    );
  });

  it('refuses a short text and what is no text', () => {
    expect(() => textSplits(encode('short'), 'x.txt')).toThrow(
      /x\.txt: expected at least 65 characters in its last tenth .* found 1 of 5/,
    );
    expect(() => textSplits(Uint8Array.of(0xff, 0xfe, 0), 'x.txt')).toThrow(FileError);
    expect(() => textSplits(Uint8Array.of(0xff, 0xfe, 0), 'x.txt')).toThrow(/expected UTF-8 text/);
  });

  const real = besideCheckout('data/tinyshakespeare/input.txt');
  it.skipIf(!runsWith(real))('reads Tiny Shakespeare', async () => {
    const { train, test } = await readText(real);
    // 1,115,394 characters of 65 kinds, as its publisher counts them.
    expect(train.classes?.length).toBe(65);
    expect(onlyInput(train).data.length + onlyInput(test).data.length).toBe(1_115_394);
    const input = onlyInput(gatherBatch(train, [0]));
    expect(
      Array.from<number | bigint, string | undefined>(input.data, (token) => train.classes?.[Number(token)]).join(''),
    ).toMatch(/^First Citizen:\n/);
  });
});
