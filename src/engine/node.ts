// The native engine: onnxruntime-node, in a worker thread or in this one.
import type { Engine } from './engine.js';
import type { Host } from './host/host.js';
import { SessionHost } from './host/session.js';
import { startWorkerHost } from './host/worker.js';
import { HostEngine } from './host-engine.js';
import {
  loadNodeRuntime,
  type NodeEngineOptions,
  type NodeSettings,
  nodeSessionOptions,
  nodeSettings,
} from './node-runtime.js';

/**
 * Return an engine on onnxruntime-node, which must be installed beside cgfac. Tensors given to it are copied before the
 * call returns: the caller may reuse their memory. An idle engine does not keep the process alive.
 * @throws UnsupportedError if onnxruntime-node is missing; OptionError
 * @example
 * const engine = await nodeEngine({ threads: 4 });
 * const b = new Builder();
 * const x = b.input('x', 'float32', [3]);
 * const program = await engine.compile(b.build('squares', { y: b.square(x) }));
 * const { y } = await program.run({ x: { dtype: 'float32', dims: [3], data: Float32Array.of(1, 2, 3) } });
 * await engine.close();
 */
export async function nodeEngine(options: NodeEngineOptions = {}): Promise<Engine> {
  const settings = nodeSettings(options);
  const [provider] = settings.executionProviders;
  const name = typeof provider === 'string' ? provider : provider?.name;
  const host = (options.worker ?? true) ? await inWorker(settings) : await inThisThread(settings);
  return new HostEngine(`node-${name}`, host);
}

async function inThisThread(settings: NodeSettings): Promise<Host> {
  return new SessionHost(await loadNodeRuntime(), (request) => nodeSessionOptions(settings, request));
}

function inWorker(settings: NodeSettings): Promise<Host> {
  return startWorkerHost(new URL('./node-worker.js', import.meta.url), settings);
}
