/**
 * `cgfac/web`: all of `cgfac` and the engine for browsers, which needs the package onnxruntime-web.
 * @module
 */
export { webEngine } from './engine/web.js';
export type { WebEngineOptions, WebProvider } from './engine/web-runtime.js';
export * from './index.js';
