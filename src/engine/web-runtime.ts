// Loads onnxruntime-web, an optional peer, and sets its sessions up for training: WebAssembly or WebGPU.
import type { InferenceSession } from 'onnxruntime-common';
import { messageOf, OptionError, UnsupportedError } from '../errors.js';
import { checkedCount, mostThreads } from '../options.js';
import type { CompileRequest } from './host/host.js';
import type { OnnxRuntime } from './runtime-tensor.js';

export type WebProvider = 'wasm' | 'webgpu';

export interface WebEngineOptions {
  /** Compute by WebAssembly on the processor, or by WebGPU on the graphics card. */
  readonly provider: WebProvider;
  /**
   * WebAssembly threads, the same for all engines of a page; the runtime's choice (at most 4) by default. More than one
   * needs a page that is cross-origin isolated.
   */
  readonly threads?: number;
  /** The folder, ending in a slash, from which onnxruntime-web's `.wasm` files are served; beside its script by default. */
  readonly wasmPaths?: string;
}

/** Settings of the whole page, made before the runtime's first session. */
interface WasmEnvironment {
  numThreads?: number;
  wasmPaths?: unknown;
}

const inNode = 'process' in globalThis && typeof globalThis.process.versions?.node === 'string';

/** Load onnxruntime-web. @throws UnsupportedError if it is not installed; OptionError if the page has another setting already */
export async function loadWebRuntime({ provider, threads, wasmPaths }: WebEngineOptions): Promise<OnnxRuntime> {
  const ort = await importRuntime(provider);
  const page = ort.env.wasm;
  if (threads !== undefined) {
    checkedCount('threads', threads, mostThreads);
    if (page.numThreads !== undefined && page.numThreads !== threads) {
      throw new OptionError(
        `threads is ${threads}, but onnxruntime-web already runs with ${page.numThreads} on this page; it cannot change`,
      );
    }
    page.numThreads = threads;
  }
  if (wasmPaths !== undefined) page.wasmPaths = wasmPaths;
  return ort;
}

/** Return the settings of a session. State stays on the graphics card from run to run; only outputs that are read come back. */
export function webSessionOptions(provider: WebProvider, request: CompileRequest): InferenceSession.SessionOptions {
  const common = {
    executionProviders: [provider],
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    // Failures are thrown; the runtime would print them too.
    logSeverityLevel: 4,
  } as const;
  if (provider === 'wasm') return common;
  const onDevice = (output: string): boolean => {
    const dtype = request.outputs.get(output)?.dtype;
    return request.updates.has(output) && (dtype === 'float32' || dtype === 'float16');
  };
  const location = (output: string) => (onDevice(output) ? 'gpu-buffer' : 'cpu');
  const outputs = [...request.outputs.keys()].map((output) => [output, location(output)] as const);
  return { ...common, preferredOutputLocation: Object.fromEntries(outputs) };
}

type WebRuntime = OnnxRuntime & { readonly env: { readonly wasm: WasmEnvironment } };

async function importRuntime(provider: WebProvider): Promise<WebRuntime> {
  if (provider === 'webgpu') await checkWebGpu();
  try {
    // Its Tensor has an overload for each element type, which no one signature matches: hence unknown.
    return (await chooseBuild(provider)) as WebRuntime;
  } catch (error) {
    throw new UnsupportedError(
      `cgfac's web engine runs on onnxruntime-web, which does not load (npm install onnxruntime-web): ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function chooseBuild(provider: WebProvider): Promise<unknown> {
  if (provider === 'webgpu') return import('onnxruntime-web/webgpu');
  if (!inNode) return import('onnxruntime-web/wasm');
  // Only this build has threads in Node. The name is not a literal, so that bundlers for browsers leave it out.
  const build = 'onnxruntime-web';
  return import(/* @vite-ignore */ /* webpackIgnore: true */ build);
}

async function checkWebGpu(): Promise<void> {
  if (inNode) {
    throw new UnsupportedError(
      "webEngine has WebGPU in browsers; in Node use nodeEngine({ executionProviders: ['webgpu'] })",
    );
  }
  const { navigator } = globalThis as { navigator?: { gpu?: { requestAdapter(): Promise<unknown> } } };
  if (!navigator?.gpu) {
    throw new UnsupportedError(
      "this browser offers no WebGPU to this page (https or localhost is needed too): use provider 'wasm'",
    );
  }
  if (!(await navigator.gpu.requestAdapter())) {
    throw new UnsupportedError("WebGPU finds no graphics card that it may use: use provider 'wasm'");
  }
}
