import fc from 'fast-check';
import { expect, it } from 'vitest';
import { labelHeights } from './end-labels.js';

it('leaves labels where they want to be if there is room', () => {
  const labels = [
    { x: 0, y: 30, width: 50 },
    { x: 0, y: 80, width: 50 },
    { x: 90, y: 32, width: 50 },
  ];
  expect(labelHeights(labels, 15, 10, 200)).toEqual([30, 80, 32]);
});

it('moves those that meet apart by as little as can be', () => {
  const at = (y: number) => ({ x: 0, y, width: 50 });
  expect(labelHeights([at(100), at(104)], 15, 10, 200)).toEqual([94.5, 109.5]);
  expect(labelHeights([at(199), at(200)], 15, 10, 200)).toEqual([185, 200]);
});

it('keeps all within the drawing and a line apart, in the order of their curves', () => {
  const label = fc.record({
    x: fc.integer({ min: 0, max: 300 }),
    y: fc.integer({ min: 0, max: 250 }),
    width: fc.integer({ min: 5, max: 90 }),
  });
  fc.assert(
    fc.property(fc.array(label, { maxLength: 12 }), (labels) => {
      const heights = labelHeights(labels, 15, 10, 240);
      for (const [i, a] of labels.entries()) {
        const [height = 0] = heights.slice(i);
        expect(height).toBeGreaterThanOrEqual(10);
        expect(height).toBeLessThanOrEqual(240);
        for (const [j, b] of labels.slice(0, i).entries()) {
          if (a.x >= b.x + b.width || b.x >= a.x + a.width) continue;
          const other = heights[j] ?? 0;
          expect(Math.abs(height - other)).toBeGreaterThanOrEqual(15 - 1e-9);
          if (a.y !== b.y) expect(height > other).toBe(a.y > b.y);
        }
      }
    }),
  );
});
