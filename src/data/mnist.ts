// A folder of the MNIST family (MNIST, Fashion-MNIST, KMNIST …): four IDX files, plain or .gz, under either of the
// spellings they are handed around in.
import { join } from 'node:path';
import { FileError } from '../errors.js';
import { type DataSplits, type Dataset, dataset, onlyInput } from './dataset.js';
import { listFolder } from './files.js';
import { readIdx } from './idx.js';

/**
 * Reads the training and test images and labels of a folder. Inputs are bytes of shape [height · width] (scale 1/255).
 * Throws FileError where a file is missing or damaged, or images and labels do not match.
 */
export async function readMnist(folder: string): Promise<DataSplits> {
  const names = await listFolder(folder, 'folder of MNIST files');
  const [train, test] = await Promise.all([readSplit(folder, names, 'train'), readSplit(folder, names, 't10k')]);
  const [trainShape, testShape] = [onlyInput(train).shape, onlyInput(test).shape];
  if (trainShape[0] !== testShape[0]) {
    throw new FileError(
      `${folder}: training images have ${trainShape} pixels, test images ${testShape}: expected files of one data set`,
    );
  }
  return { train, test };
}

async function readSplit(folder: string, names: readonly string[], prefix: 'train' | 't10k'): Promise<Dataset> {
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
  const last = labels.data.reduce((most, label) => Math.max(most, label), 0);
  return dataset({
    name: `${folder} ${prefix === 'train' ? 'train' : 'test'}`,
    size,
    inputs: { dtype: 'float32', shape: [height * width], data: images.data, scale: 1 / 255 },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from(labels.data) },
    classes: Array.from({ length: Math.max(10, last + 1) }, (_, label) => String(label)),
    picture: { width, height, channels: 1 },
  });
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
