// The default engine: ONNX Runtime's native one in Node, its WebAssembly elsewhere.
import type { Engine } from '../engine/engine.js';
import { OptionError } from '../errors.js';
import { described, isRecord } from '../options.js';

export interface DefaultEngineOptions {
  /** Number of threads; by default the engine's own choice. */
  readonly threads?: number;
  /** Whether Node computes in a worker thread, so that the calling thread stays free. */
  readonly worker?: boolean;
}

const isNode = (): boolean => typeof process === 'object' && typeof process.versions?.node === 'string';

/** @throws UnsupportedError naming the package of ONNX Runtime that is not installed */
async function defaultEngine({ threads, worker = false }: DefaultEngineOptions): Promise<Engine> {
  const chosen = threads === undefined ? {} : { threads };
  if (isNode()) {
    const { nodeEngine } = await import('../engine/node.js');
    return nodeEngine({ ...chosen, worker });
  }
  const { webEngine } = await import('../engine/web.js');
  return webEngine({ provider: 'wasm', ...chosen });
}

/**
 * Return a separate store on the given engine, or a new engine; the caller closes it.
 * @throws OptionError if what is given is no engine; UnsupportedError if none is given and the package of ONNX Runtime is not installed
 */
export async function openedEngine(given: Engine | undefined, options: DefaultEngineOptions = {}): Promise<Engine> {
  const value: unknown = given;
  if (value !== undefined && !(isRecord(value) && typeof value.open === 'function')) {
    throw new OptionError(`engine is ${described(value)}; give one, as by await nodeEngine(), or leave it out`);
  }
  return given?.open() ?? (await defaultEngine(options));
}

/** Compute with a separate store, on the given engine or on a new one, which is closed afterwards. @throws as `openedEngine` does */
export async function withEngine<Result>(
  given: Engine | undefined,
  compute: (engine: Engine) => Promise<Result>,
  options: DefaultEngineOptions = {},
): Promise<Result> {
  const engine = await openedEngine(given, options);
  try {
    return await compute(engine);
  } finally {
    await engine.close();
  }
}
