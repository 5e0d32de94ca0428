// A folder of the MNIST family (MNIST, Fashion-MNIST, KMNIST …): four IDX files, plain or .gz, in either of their usual spellings.
import { join } from 'node:path';
import { FileError } from '../../errors.js';
import { type DataSplits, type Dataset, dataset, onlyInput } from '../dataset.js';
import { listFolder } from './files.js';
import { readIdx } from './idx.js';

/**
 * Read the training and test images and labels of a folder. Inputs are bytes of shape [height · width] (scale 1/255).
 * @throws FileError if a file is missing or damaged, and if images and labels do not match
 */
export async function readMnist(folder: string): Promise<DataSplits> {
  const names = await listFolder(folder, 'folder of MNIST files');
  const [train, test] = await Promise.all([readSplit(folder, names, 'train'), readSplit(folder, names, 't10k')]);
  const classes = classNames(train.labels);
  for (const { labels, labelPath } of [train, test]) checkLabels(labels, labelPath, classes.length);
  const sets = { train: { ...train.set, classes }, test: { ...test.set, classes } };
  const [trainShape, testShape] = [onlyInput(train.set).shape, onlyInput(test.set).shape];
  if (trainShape[0] !== testShape[0]) {
    throw new FileError(
      `${folder}: training images have ${trainShape} pixels, test images ${testShape}: expected files of one data set`,
    );
  }
  return sets;
}

/** Ten classes, or more if the training labels go on from 10 without a gap, as those of letters do. */
function classNames(labels: Uint8Array): string[] {
  const found = new Set(labels);
  let count = 10;
  while (found.has(count)) count++;
  return Array.from({ length: count }, (_, label) => String(label));
}

/** Refuse a label far from all others: it is a damaged byte, and would add a class with empty ones before it. */
function checkLabels(labels: Uint8Array, path: string, classes: number): void {
  const wrong = labels.findIndex((label) => label >= classes);
  if (wrong < 0) return;
  throw new FileError(
    `${path}: label ${wrong} is ${labels[wrong]}, expected 0 to ${classes - 1} (no training label is ${classes}): the file is damaged or of another data set; fetch it again`,
  );
}

interface Split {
  readonly set: Dataset;
  readonly labels: Uint8Array;
  readonly labelPath: string;
}

async function readSplit(folder: string, names: readonly string[], prefix: 'train' | 't10k'): Promise<Split> {
  const imagePath = find(folder, names, `${prefix}-images`, 'idx3-ubyte');
  const labelPath = find(folder, names, `${prefix}-labels`, 'idx1-ubyte');
  const [images, labels] = await Promise.all([readIdx(imagePath, 3), readIdx(labelPath, 1)]);
  const [size = 0, height = 0, width = 0] = images.shape;
  if (labels.shape[0] !== size) {
    throw new FileError(
      `${labelPath}: expected ${size} labels, one for each image of ${imagePath}, found ${labels.shape[0]}: take both files from one data set`,
    );
  }
  if (size === 0 || height === 0 || width === 0) {
    throw new FileError(`${imagePath}: expected images, found shape [${images.shape}]: fetch the file again`);
  }
  const set = dataset({
    name: `${folder} ${prefix === 'train' ? 'train' : 'test'}`,
    size,
    inputs: { dtype: 'float32', shape: [height * width], data: images.data, scale: 1 / 255 },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from(labels.data) },
    picture: { width, height, channels: 1 },
  });
  return { set, labels: labels.data, labelPath };
}

function find(folder: string, names: readonly string[], stem: string, type: string): string {
  const candidates = [`${stem}-${type}`, `${stem}.${type}`].flatMap((name) => [name, `${name}.gz`]);
  const found = candidates.find((name) => names.includes(name));
  if (found === undefined) {
    throw new FileError(
      `${join(folder, candidates[0] ?? stem)}: there is no such file: expected one of ${candidates.join(', ')} in that folder; put the data set's four IDX files there`,
    );
  }
  return join(folder, found);
}
