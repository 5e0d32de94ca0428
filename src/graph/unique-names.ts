// Names that are not taken yet, in constant time however often a name is wanted: a loop that was written out has thousands
// of values of one name.

export class UniqueNames {
  readonly #taken = new Set<string>();
  /** The last number that was appended to a name. */
  readonly #numbers = new Map<string, number>();

  constructor(taken: Iterable<string> = []) {
    for (const name of taken) this.#taken.add(name);
  }

  add(name: string): void {
    this.#taken.add(name);
  }

  has(name: string): boolean {
    return this.#taken.has(name);
  }

  /** Return the name itself, or the name with the next number that makes it unique: `h`, `h_1`, `h_2`. */
  unused(name: string): string {
    if (!this.#taken.has(name)) return name;
    let number = this.#numbers.get(name) ?? 0;
    do number += 1;
    while (this.#taken.has(`${name}_${number}`));
    this.#numbers.set(name, number);
    return `${name}_${number}`;
  }
}
