// The engine for browsers: onnxruntime-web, on WebAssembly or on WebGPU.
import { OptionError } from '../errors.js';
import { checkKeys, described, type OptionKeys } from '../options.js';
import type { Engine } from './engine.js';
import { SessionHost } from './host/session.js';
import { HostEngine } from './host-engine.js';
import { loadWebRuntime, type WebEngineOptions, webSessionOptions } from './web-runtime.js';

const keys: OptionKeys<WebEngineOptions> = { provider: true, threads: true, wasmPaths: true };

/**
 * Return an engine on onnxruntime-web, which must be installed beside cgfac. It computes in the thread that makes it: make
 * it in a worker if the page should stay responsive. `wasm` runs in Node too.
 * @throws UnsupportedError if onnxruntime-web is missing, or WebGPU, if that is the provider; OptionError
 * @example
 * const engine = await webEngine({ provider: 'wasm' });
 * const { model } = await train(mlp({ seed: 1 }), { engine, data: 'digits', optimizer: cgfac(), epochs: 1 });
 * await engine.close();
 */
export async function webEngine(options: WebEngineOptions): Promise<Engine> {
  checkKeys('webEngine', options, keys);
  const { provider } = options;
  if (provider !== 'wasm' && provider !== 'webgpu') {
    throw new OptionError(`provider must be 'wasm' or 'webgpu', not ${described(provider)}`);
  }
  const ort = await loadWebRuntime(options);
  return new HostEngine(provider, new SessionHost(ort, (request) => webSessionOptions(provider, request)));
}
