// A store of named tensors. They stay as the runtime returned them, on a device too: feeding them back is the cheapest way
// to hold state.
import type { Tensor } from 'onnxruntime-common';
import { EngineError } from './host/host.js';

/** Tensors that were put into a store at once: by name, the tensor that was there before, and the new one. */
export type Exchange = ReadonlyMap<string, { readonly before: Tensor | undefined; readonly after: Tensor }>;

export class TensorStore {
  readonly #tensors = new Map<string, Tensor>();

  get(name: string): Tensor | undefined {
    return this.#tensors.get(name);
  }

  names(): Iterable<string> {
    return this.#tensors.keys();
  }

  /** Put tensors in. The replaced ones belong to the caller, who frees them by `freeReplaced` or puts them back by `undo`. */
  exchange(tensors: Iterable<readonly [string, Tensor]>): Exchange {
    const exchange = new Map<string, { before: Tensor | undefined; after: Tensor }>();
    for (const [name, after] of tensors) {
      exchange.set(name, { before: this.#tensors.get(name), after });
      this.#tensors.set(name, after);
    }
    return exchange;
  }

  /**
   * Put back the tensors that an exchange replaced, and free those that it put in.
   * @throws EngineError, with nothing changed, if one of its tensors was replaced since
   */
  undo(exchange: Exchange, what: string): void {
    for (const [name, { after }] of exchange) {
      if (this.#tensors.get(name) === after) continue;
      throw new EngineError(
        `${what} cannot be undone: the tensor '${name}' was replaced or forgotten since; undo before that`,
      );
    }
    for (const [name, { before, after }] of exchange) {
      if (before) this.#tensors.set(name, before);
      else this.#tensors.delete(name);
      free(after);
    }
  }

  delete(name: string): void {
    free(this.#tensors.get(name));
    this.#tensors.delete(name);
  }

  clear(): void {
    for (const name of [...this.#tensors.keys()]) this.delete(name);
  }
}

/** Free the tensors that an exchange replaced, if it is not to be undone. */
export function freeReplaced(exchange: Exchange | undefined): void {
  for (const { before } of exchange?.values() ?? []) free(before);
}

/** Free a tensor: memory on a device is not collected by itself. */
export function free(value: Tensor | undefined): void {
  if (value && value.location !== 'cpu') value.dispose();
}
