// The typed errors of the package. Each message says what was wrong, where, what was expected, and what to do.

/** Base class of every error that cgfac throws on bad input; anything else that escapes is a defect. */
export class CgfacError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A graph that is not well formed: wrong types, shapes or references. */
export class GraphError extends CgfacError {}

/** A file (model, data set, checkpoint) that is missing, truncated, or not of its format. */
export class FileError extends CgfacError {}

/** An option, hyper-parameter or command-line argument that cannot be used. */
export class OptionError extends CgfacError {}

/** Something that is needed and that cgfac does not have: a gradient rule, a kernel, an optional package. */
export class UnsupportedError extends CgfacError {}

/** Training that cannot go on: a loss or a parameter stopped being finite. */
export class TrainingError extends CgfacError {}

/** Return the message of what was thrown, which may be any value. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
