// What curvature is measured on: the network on a few examples, the likelihood of its outputs, and the targets of the Fisher
// matrix.
import type { Forward } from '../losses/objective.js';
import type { Fisher, FisherInput } from './fisher.js';

export interface FisherSample extends Omit<FisherInput, 'b' | 'forward'> {
  readonly forward: Forward;
  readonly fisher: Fisher;
}
