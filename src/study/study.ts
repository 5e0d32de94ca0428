// The contract of a study: cells that are measured one after another, and what their rows show.
import type { Optimizer, Setting } from '../optimizers/optimizer.js';
import type { Html } from '../reporting/report/html.js';
import type { StudyTable } from './table.js';

/** One measurement, which is taken once however often a study is begun. */
export interface Cell<Row> {
  /** Names it in the file of rows, unique in the study. */
  readonly key: string;
  /**
   * Measure. The row is written as JSON: no number in it is NaN or infinite.
   * @param signal aborted if the study is to stop: the cell may then throw
   */
  readonly run: (signal: AbortSignal) => Promise<Row>;
}

/** A part of a page, and of the output on the console. */
export interface Section {
  readonly title: string;
  readonly notes: readonly string[];
  readonly tables: readonly StudyTable[];
  /** Charts, for the page alone. */
  readonly charts: readonly Html[];
}

/** What a study shows of its result. */
export interface Presentation {
  readonly headline: string;
  /** Sentences with the findings, those against us too. */
  readonly findings: readonly string[];
  readonly sections: readonly Section[];
}

/** @typeParam Result a value of JSON: all numbers that are shown come from it */
export interface Study<Row, Result> {
  readonly name: string;
  readonly title: string;
  /** What decides the numbers: rows of other options are not mixed with these. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly cells: readonly Cell<Row>[];
  /** Return the cells that the rows call for beyond those measured so far, as a grid whose best lies at its edge. */
  readonly further?: (rows: readonly Row[]) => readonly Cell<Row>[];
  readonly result: (rows: readonly Row[]) => Result;
  readonly present: (result: Result) => Presentation;
  /** Stop what the cells have started. */
  readonly close: () => Promise<void>;
}

/** Makes optimizers of the words of the command line, such as `cgfac:rank=64`. */
export interface Optimizers {
  /** @throws OptionError for words that it does not know */
  readonly make: (word: string, setting: Setting) => Optimizer;
  /** Return whether an option, such as `damping`, can be added to a word. */
  readonly takes: (word: string, option: 'damping' | 'learningRate') => boolean;
}
