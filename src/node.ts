// `cgfac/node`: the native engine. It needs the package onnxruntime-node.
export { EngineError } from './engine/host.js';
export { nodeEngine } from './engine/node.js';
export {
  describeRuntime,
  type ExecutionProvider,
  type NodeEngineOptions,
  type RuntimeDescription,
} from './engine/node-runtime.js';
