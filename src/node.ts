// `cgfac/node`: the native engine. It needs the package onnxruntime-node.

export { nodeEngine } from './engine/node.js';
export type { NodeEngineOptions } from './engine/node-runtime.js';
export { describeRuntime, type ExecutionProvider, type RuntimeDescription } from './engine/node-runtime.js';
