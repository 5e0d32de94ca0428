// `cgfac/web`: the engine for browsers. It needs the package onnxruntime-web.
export { EngineError } from './engine/host/host.js';
export { webEngine } from './engine/web.js';
export type { WebEngineOptions, WebProvider } from './engine/web-runtime.js';
