// Seeded random numbers, the same on every machine: xoshiro128** on 32-bit integers, one independent stream for each
// (seed, labels). Whatever is drawn for a step comes from a stream of that step, so no state has to be saved.
import { OptionError } from './errors.js';

/** One stream of random numbers. Integer-derived draws are the same bits everywhere; see `normal` for its exception. */
export interface Random {
  /** The next 32 random bits, as an integer in [0, 2³²). */
  bits(): number;
  /** Uniform in [0, 1), a multiple of 2⁻²⁴ (exact in float32). */
  uniform(): number;
  /** Uniform integer in [0, bound), unbiased. @throws OptionError unless 1 ≤ bound ≤ 2³² */
  integer(bound: number): number;
  /**
   * Standard normal, by Marsaglia's polar method. Uses Math.log, whose last bit a JavaScript engine may choose: equal
   * on one engine always, equal after rounding to float32 on all in practice.
   */
  normal(): number;
  /** −1 or +1 with equal probability. */
  sign(): -1 | 1;
  /** Fill with uniforms in [low, high); low 0 and high 1 by default. */
  fillUniform(target: Float32Array, low?: number, high?: number): void;
  /** Fill with normals of the given mean (0) and deviation (1); takes both numbers of each polar pair. */
  fillNormal(target: Float32Array, mean?: number, deviation?: number): void;
  /** Fill with ±1, 32 of them from each draw of bits. */
  fillSigns(target: Float32Array): void;
}

/**
 * Return the stream named by a seed and labels, for instance `random(seed, 'shuffle', epoch)`. Streams of different names are
 * independent for all practical purposes (names are hashed to 128 bits).
 * @throws OptionError for a number that is not finite
 * @example
 * const signs = new Float32Array(1000);
 * random(7, 'signs', 12).fillSigns(signs); // always the same
 */
export function random(seed: number, ...streamLabels: readonly (string | number)[]): Random {
  return new Xoshiro128(...hashToState([seed, ...streamLabels]));
}

/**
 * xoshiro128** 1.1 of Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2021). Its state is four 32-bit
 * words, not all zero.
 */
export class Xoshiro128 implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(a: number, b: number, c: number, d: number) {
    [this.#a, this.#b, this.#c, this.#d] = [a, b, c, d];
  }

  bits(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }

  uniform(): number {
    return (this.bits() >>> 8) * 2 ** -24;
  }

  integer(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) {
      throw new OptionError(`integer(${bound}) cannot be drawn: expected a whole bound from 1 to 2^32`);
    }
    // Rejection above the largest multiple of the bound keeps every value equally likely.
    const limit = 2 ** 32 - (2 ** 32 % bound);
    let draw = this.bits();
    while (draw >= limit) draw = this.bits();
    return draw % bound;
  }

  normal(): number {
    for (;;) {
      const x = this.#centred();
      const y = this.#centred();
      const square = x * x + y * y;
      if (square < 1 && square > 0) return x * Math.sqrt((-2 * Math.log(square)) / square);
    }
  }

  sign(): -1 | 1 {
    return this.bits() >>> 31 === 1 ? 1 : -1;
  }

  fillUniform(target: Float32Array, low = 0, high = 1): void {
    const step = (high - low) * 2 ** -24;
    for (let index = 0; index < target.length; index++) target[index] = low + (this.bits() >>> 8) * step;
  }

  fillNormal(target: Float32Array, mean = 0, deviation = 1): void {
    for (let index = 0; index < target.length; ) {
      const x = this.#centred();
      const y = this.#centred();
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const length = deviation * Math.sqrt((-2 * Math.log(square)) / square);
      target[index++] = mean + x * length;
      // Past an odd end this write is dropped by the typed array.
      target[index++] = mean + y * length;
    }
  }

  fillSigns(target: Float32Array): void {
    for (let start = 0; start < target.length; start += 32) {
      const end = Math.min(start + 32, target.length);
      let word = this.bits();
      for (let index = start; index < end; index++) {
        target[index] = ((word & 1) << 1) - 1;
        word >>>= 1;
      }
    }
  }

  /** Uniform in [−1, 1), with 32 bits. */
  #centred(): number {
    return this.bits() * 2 ** -31 - 1;
  }
}

/** Absorb seed and labels into four lanes, each its own 32-bit hash; a change of one word changes every lane. */
function hashToState(labels: readonly (string | number)[]): [number, number, number, number] {
  const lanes = new Uint32Array([0x9e3779b9, 0x243f6a88, 0xb7e15162, 0x6a09e667]);
  const absorb = (word: number) => {
    for (let lane = 0; lane < 4; lane++) lanes[lane] = mix((lanes[lane] ?? 0) ^ word) + 0x9e3779b9 + 2 * lane;
  };
  const float = new DataView(new ArrayBuffer(8));
  for (const label of labels) {
    if (typeof label === 'string') {
      absorb(0x73);
      absorb(label.length);
      for (let index = 0; index < label.length; index++) absorb(label.charCodeAt(index));
    } else {
      if (!Number.isFinite(label))
        throw new OptionError(`random seed or label ${label} cannot be used: expected a finite number`);
      absorb(0x6e);
      float.setFloat64(0, label === 0 ? 0 : label);
      absorb(float.getUint32(0));
      absorb(float.getUint32(4));
    }
  }
  absorb(labels.length);
  const [a = 0, b = 0, c = 0, d = 0] = lanes;
  return (a | b | c | d) === 0 ? [1, 0, 0, 0] : [a, b, c, d];
}

/** The finalizer of MurmurHash3: a bijection of 32-bit words in which every input bit moves every output bit. */
function mix(word: number): number {
  let hash = word >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
