// The names of values while a file is read: each is defined once, and bodies see those of the graphs around them.
import { FileError, type UnsupportedError } from '../../errors.js';
import type { Value } from '../../graph/graph.js';

/** Names of one graph (or function body), and of those around it. */
export class Scope {
  readonly parent: Scope | undefined;
  readonly #values = new Map<string, Value | undefined>();
  readonly #refused = new Map<string, UnsupportedError>();
  /** What the names of nodes and values in the body of a called function begin with: `layer1/`; empty elsewhere. */
  readonly prefix: string;

  constructor(parent: Scope | undefined, prefix = '') {
    this.parent = parent;
    this.prefix = prefix;
  }

  /** Return the value of a name. @throws UnsupportedError for a name that was refused */
  get(name: string): Value | undefined {
    const refusal = this.#refused.get(name);
    if (refusal) throw refusal;
    return this.#values.has(name) ? this.#values.get(name) : this.parent?.get(name);
  }

  has(name: string): boolean {
    return this.#values.has(name) || (this.parent?.has(name) ?? false);
  }

  /** Give a name to a value. @throws FileError if the name is taken */
  define(name: string, value: Value | undefined, what: string): void {
    if (this.has(name)) throw new FileError(`${what} defines '${name}', but this name is taken already`);
    this.#values.set(name, value);
  }

  /** Define a name that is an error only if something reads it. */
  refuse(name: string, error: UnsupportedError, what: string): void {
    this.define(name, undefined, what);
    this.#refused.set(name, error);
  }
}
