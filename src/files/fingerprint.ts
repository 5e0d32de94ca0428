// Fingerprints: SHA-256 of what a run reads, to tell whether it is what it was.
import { createHash } from 'node:crypto';

/** Collects parts; each is told apart from its neighbours. */
export class Fingerprint {
  readonly #hash = createHash('sha256');

  text(text: string): this {
    return this.bytes(Buffer.from(text));
  }

  bytes(view: ArrayBufferView): this {
    this.#hash.update(`${view.byteLength}\n`);
    this.#hash.update(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
    return this;
  }

  /** Return the sum of all parts, in hexadecimal digits; the last call. */
  sum(): string {
    return this.#hash.digest('hex');
  }
}
