// Sizes to assume for symbolic axes if a graph is examined without data.

/** Lengths and picture sizes to try, in turn, until the shapes of a model fit together. */
export const assumedSizes: readonly number[] = [16, 32, 64, 128, 224, 256, 8, 4, 1];
