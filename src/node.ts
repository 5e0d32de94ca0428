/**
 * `cgfac/node`: all of `cgfac`, the native engine, which needs the package onnxruntime-node, and reports.
 * @module
 */
export { nodeEngine } from './engine/node.js';
export {
  describeRuntime,
  type ExecutionProvider,
  type NodeEngineOptions,
  type RuntimeDescription,
} from './engine/node-runtime.js';
export * from './index.js';
export { createProgress, type Progress, type ProgressOptions } from './reporting/progress.js';
export { renderReport } from './reporting/report/index.js';
export { renderMarkdownTable, renderTable } from './reporting/table.js';
export { type TensorboardOptions, tensorboard } from './reporting/tensorboard/callback.js';
export type { HyperParameter } from './reporting/tensorboard/events.js';
