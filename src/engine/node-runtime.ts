// Loads onnxruntime-node, an optional peer, and sets its sessions up for training.
import { availableParallelism } from 'node:os';
import type { InferenceSession } from 'onnxruntime-common';
import { messageOf, OptionError, UnsupportedError } from '../errors.js';
import { checkedCount, checkedFlag, checkKeys, described, mostThreads, type OptionKeys } from '../options.js';
import type { CompileRequest } from './host/host.js';
import type { OnnxRuntime } from './runtime-tensor.js';

export interface NodeEngineOptions {
  /** Threads that compute; by default as many as the process may use cores. Results do not depend on chance. */
  readonly threads?: number;
  /** Run programs in a worker thread, so that timers, signals and servers are not blocked. True by default. */
  readonly worker?: boolean;
  /** ONNX Runtime's execution providers, in order of preference: `['cuda', 'cpu']`. The CPU alone by default. */
  readonly executionProviders?: readonly ExecutionProvider[];
}

/** A name (`cpu`, `cuda`, `dml`, `coreml`, …), or a name with that provider's options. */
export type ExecutionProvider = string | ({ readonly name: string } & Readonly<Record<string, unknown>>);

/** Options as they are sent to the worker. */
export interface NodeSettings {
  readonly threads: number;
  readonly executionProviders: readonly ExecutionProvider[];
}

const keys: OptionKeys<NodeEngineOptions> = { threads: true, worker: true, executionProviders: true };

/** Check the options and fill in defaults. @throws OptionError */
export function nodeSettings(options: NodeEngineOptions): NodeSettings {
  checkKeys('nodeEngine', options, keys);
  checkedFlag('worker', options.worker);
  const threads = checkedCount('threads', options.threads ?? availableParallelism(), mostThreads);
  const executionProviders = options.executionProviders ?? ['cpu'];
  if (!Array.isArray(executionProviders)) {
    throw new OptionError(
      `executionProviders is ${described(executionProviders)}; it must be an array such as ['cuda', 'cpu']`,
    );
  }
  if (executionProviders.length === 0) throw new OptionError("executionProviders is empty: leave it out for ['cpu']");
  return { threads, executionProviders };
}

/**
 * Nodes up to which the runtime rewrites a graph. It saves 4 to 7 % of some steps, and its time grows faster than the
 * graph: a step of 16 transformer layers (12,848 nodes) compiles in 3.5 s with it and in 1.0 s without.
 */
const largestRewritten = 8000;

export function nodeSessionOptions(
  { threads, executionProviders }: NodeSettings,
  { nodes }: Pick<CompileRequest, 'nodes'>,
): InferenceSession.SessionOptions {
  return {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: nodes <= largestRewritten ? 'all' : 'disabled',
    executionProviders,
    // Failures are thrown; the runtime would print them too.
    logSeverityLevel: 4,
    // Threads that spin while they wait take the cores from other programs of the same process.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
}

/** Load onnxruntime-node. @throws UnsupportedError if it is not installed or has no binary for this platform */
export async function loadNodeRuntime(
  load: () => Promise<unknown> = () => import('onnxruntime-node'),
): Promise<OnnxRuntime> {
  try {
    // Its Tensor has an overload for each element type, which no one signature matches.
    return (await load()) as OnnxRuntime;
  } catch (error) {
    const message = messageOf(error);
    const missing = /cannot find (package|module) '?onnxruntime-node/i.test(message);
    throw new UnsupportedError(
      missing
        ? "cgfac's Node engine runs on onnxruntime-node, which is not installed: npm install onnxruntime-node"
        : `onnxruntime-node does not load on ${process.platform}-${process.arch}, Node ${process.version}: ${message}`,
      { cause: error },
    );
  }
}

/** Versions of the runtime and the machine, for reports. */
export interface RuntimeDescription {
  readonly runtime: string;
  readonly version: string;
  readonly node: string;
  readonly platform: string;
}

/**
 * Return the versions of ONNX Runtime and Node, and the machine.
 * @throws UnsupportedError if onnxruntime-node is not installed
 * @example
 * console.log(await describeRuntime());
 */
export async function describeRuntime(): Promise<RuntimeDescription> {
  const { versions } = (await loadNodeRuntime()).env;
  return {
    runtime: 'onnxruntime-node',
    version: versions.node ?? versions.common,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
  };
}
