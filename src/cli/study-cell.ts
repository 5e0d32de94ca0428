// The program of a process that `cgfac study complexity` measures.
import { serveMeasurements } from '../study/measured-process.js';
import { chooseOptimizer } from './optimizers.js';

serveMeasurements({ make: (word, setting) => chooseOptimizer(word, {}, setting).optimizer });
