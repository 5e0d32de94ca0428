// The worker thread of the Node engine: loads onnxruntime-node and answers calls until `close` is called.
import { parentPort, workerData } from 'node:worker_threads';
import { ExitGate } from './host/exit-gate.js';
import { buffersOf, type Call, encodeError, type Greeting, type Reply, type WorkerData } from './host/protocol.js';
import { SessionHost } from './host/session.js';
import { loadNodeRuntime, type NodeSettings, nodeSessionOptions } from './node-runtime.js';

if (!parentPort) throw new Error('node-worker.js runs in a worker thread: use nodeEngine()');
const port = parentPort;

try {
  const { settings, gate: memory } = workerData as WorkerData;
  const gate = new ExitGate(memory);
  const host = new SessionHost(
    await loadNodeRuntime(),
    (request) => nodeSessionOptions(settings as NodeSettings, request),
    (task) => gate.during(task),
  );
  port.on('message', (call: Call) => void answer(host, call));
  port.postMessage({ ready: true } satisfies Greeting);
} catch (error) {
  port.postMessage({ ready: false, error: encodeError(error) } satisfies Greeting);
}

async function answer(host: SessionHost, { id, method, args }: Call): Promise<void> {
  const called = (host[method] as (...args: readonly unknown[]) => Promise<unknown>).apply(host, [...args]);
  const reply = await called.then(
    (value): Reply => ({ id, value }),
    (error): Reply => ({ id, error: encodeError(error) }),
  );
  port.postMessage(reply, buffersOf(reply));
  if (method === 'close') port.close();
}
