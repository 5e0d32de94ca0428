// Messages between the thread that trains and the worker that computes: calls of a Host, and their results.
import { type CgfacError, FileError, GraphError, OptionError, TrainingError, UnsupportedError } from '../../errors.js';
import { EngineError, type Host } from './host.js';

/** The data that a worker is started with. */
export interface WorkerData {
  readonly settings: unknown;
  /** Memory of the ExitGate. */
  readonly gate: SharedArrayBuffer;
}

export type Method = keyof Host;

export interface Call {
  readonly id: number;
  readonly method: Method;
  readonly args: readonly unknown[];
}

export type Reply =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: ErrorMessage };

/** The first message of a worker. */
export type Greeting = { readonly ready: true } | { readonly ready: false; readonly error: ErrorMessage };

/** Errors cross threads as text: structured cloning forgets their class. */
export interface ErrorMessage {
  readonly kind: string;
  readonly message: string;
  readonly stack: string | undefined;
}

const kinds: Readonly<Record<string, typeof CgfacError>> = {
  EngineError,
  FileError,
  GraphError,
  OptionError,
  TrainingError,
  UnsupportedError,
};

export function encodeError(error: unknown): ErrorMessage {
  if (!(error instanceof Error)) return { kind: 'Error', message: String(error), stack: undefined };
  return { kind: error.name, message: error.message, stack: error.stack };
}

export function decodeError({ kind, message, stack }: ErrorMessage): Error {
  const known = kinds[kind];
  if (known) return new known(message);
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** Return the memory of all typed arrays in a message, to be transferred with it. */
export function buffersOf(message: unknown, found = new Set<ArrayBuffer>()): ArrayBuffer[] {
  if (ArrayBuffer.isView(message)) {
    if (message.buffer instanceof ArrayBuffer) found.add(message.buffer);
  } else if (Array.isArray(message)) {
    for (const element of message) buffersOf(element, found);
  } else if (typeof message === 'object' && message !== null && !(message instanceof Map)) {
    for (const element of Object.values(message)) buffersOf(element, found);
  }
  return [...found];
}
