import { describe, expect, it } from 'vitest';
import { OptionError } from './errors.js';
import { type Random, random, Xoshiro128 } from './random.js';

/** xoshiro128** 1.1 written from its reference C code in 64-bit integers, as an oracle. */
function referenceXoshiro(state: readonly number[], count: number): number[] {
  const s = state.map(BigInt);
  const mask = 0xffffffffn;
  const rotate = (x: bigint, k: bigint) => ((x << k) | (x >> (32n - k))) & mask;
  return Array.from({ length: count }, () => {
    let [a = 0n, b = 0n, c = 0n, d = 0n] = s;
    const result = (rotate((b * 5n) & mask, 7n) * 9n) & mask;
    const t = (b << 9n) & mask;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotate(d, 11n);
    s.splice(0, 4, a, b, c, d);
    return Number(result);
  });
}

describe('random', () => {
  it('is xoshiro128**', () => {
    const state = [0xdeadbeef, 1, 0x80000000, 12345] as const;
    const stream = new Xoshiro128(...state);
    expect(Array.from({ length: 200 }, () => stream.bits())).toEqual(referenceXoshiro(state, 200));
  });

  it('gives the same bits for the same name, those of the first release', () => {
    const [plain, labelled] = [random(0), random(7, 'signs', 3)];
    expect([plain.bits(), plain.bits(), plain.bits()]).toEqual([3305967663, 4030006071, 3480477648]);
    const draw = (stream: Random) => Array.from({ length: 4 }, () => stream.bits());
    expect(draw(random(7, 'signs', 3))).toEqual(draw(labelled));
  });

  it('gives different streams for different names, however alike', () => {
    const names: (string | number)[][] = [
      [0],
      [1],
      [-1],
      [0.5],
      [2 ** 32],
      [0, 0],
      [0, '0'],
      [0, 'a', 'b'],
      [0, 'ab'],
      [0, ''],
      [0, '', ''],
    ];
    for (let step = 0; step < 2000; step++) names.push([0, 'step', step], [step, 'step', 0]);
    const firsts = new Set(
      names.map(([first, ...labels]) => {
        const stream = random(Number(first), ...labels);
        return [stream.bits(), stream.bits(), stream.bits(), stream.bits()].join();
      }),
    );
    // [0, 'step', 0] is in the list twice.
    expect(firsts.size).toBe(names.length - 1);
  });

  it('draws uniforms, normals and signs with the right moments', () => {
    const values = new Float32Array(200_001);
    const moment = (power: number) => values.reduce((sum, value) => sum + value ** power, 0) / values.length;
    const stream = random(11);
    stream.fillUniform(values, -1, 3);
    expect(moment(1)).toBeCloseTo(1, 1.9);
    expect(moment(2) - moment(1) ** 2).toBeCloseTo(16 / 12, 1.9);
    expect(values.every((value) => value >= -1 && value < 3)).toBe(true);
    stream.fillNormal(values, 0, 1);
    expect(Math.abs(moment(1))).toBeLessThan(0.01);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.015);
    expect(Math.abs(moment(3))).toBeLessThan(0.03);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.1);
    stream.fillSigns(values);
    expect(values.every((value) => value === 1 || value === -1)).toBe(true);
    expect(Math.abs(moment(1))).toBeLessThan(0.01);
    const lag = (distance: number) =>
      values.slice(distance).reduce((sum, value, index) => sum + value * (values[index] ?? 0), 0) / values.length;
    for (const distance of [1, 2, 31, 32, 33]) expect(Math.abs(lag(distance))).toBeLessThan(0.012);
  });

  it('draws one number at a time with the right moments', () => {
    const stream = random(12);
    let [mean, square, signs] = [0, 0, 0];
    for (let draw = 0; draw < 50_000; draw++) {
      const value = stream.normal();
      mean += value / 50_000;
      square += value ** 2 / 50_000;
      signs += stream.sign() / 50_000;
    }
    expect(Math.abs(mean)).toBeLessThan(0.02);
    expect(Math.abs(square - 1)).toBeLessThan(0.03);
    expect(Math.abs(signs)).toBeLessThan(0.02);
  });

  it('draws integers evenly below a bound', () => {
    const counts = new Array<number>(7).fill(0);
    const stream = random(5);
    for (let draw = 0; draw < 14_000; draw++) {
      const value = stream.integer(7);
      counts[value] = (counts[value] ?? Number.NaN) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(180);
  });

  it('refuses what is not a seed or a bound', () => {
    expect(() => random(Number.NaN)).toThrow(OptionError);
    expect(() => random(0).integer(0)).toThrow('expected a whole bound from 1 to 2^32');
  });
});
