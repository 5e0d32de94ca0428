// Sizes that stand for symbolic axes where a graph is looked at without data.

/** Lengths and picture sizes to assume, in turn, until the shapes of a model fit together. */
export const standIns: readonly number[] = [16, 32, 64, 128, 224, 256, 8, 4, 1];
