// Keeps the few largest of many things by a number, without keeping the others.

/** The `count` things with the largest numbers so far. */
export class Largest<T> {
  readonly #count: number;
  /** Falling. */
  readonly #kept: { readonly size: number; readonly value: T }[] = [];

  constructor(count: number) {
    this.#count = count;
  }

  /** Offer a thing; `value` is called only if it is kept for now. Of equal numbers the first stays before; NaN is the largest. */
  offer(size: number, value: () => T | undefined): void {
    const number = Number.isNaN(size) ? Number.POSITIVE_INFINITY : size;
    const last = this.#kept[this.#count - 1];
    if (this.#count === 0 || (last && number <= last.size)) return;
    const made = value();
    if (made === undefined) return;
    const at = this.#kept.findIndex((other) => number > other.size);
    this.#kept.splice(at < 0 ? this.#kept.length : at, 0, { size: number, value: made });
    this.#kept.length = Math.min(this.#kept.length, this.#count);
  }

  /** The largest first. */
  get values(): readonly T[] {
    return this.#kept.map(({ value }) => value);
  }
}
