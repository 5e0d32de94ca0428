// The binary version of CIFAR-10: five training files and a test file of records, each a label byte and a 32 × 32
// picture in three planes (red, green, blue).
import { join } from 'node:path';
import { FileError } from '../../errors.js';
import { type DataSplits, type Dataset, dataset } from '../dataset.js';
import { listFolder, readBytes } from './files.js';

const classNames = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'];
const pictureBytes = 3 * 32 * 32;
const recordBytes = 1 + pictureBytes;
const testFileName = 'test_batch.bin';

/**
 * Read data_batch_*.bin (as many as there are) and test_batch.bin of a folder, or of the cifar-10-batches-bin inside it. Inputs
 * are bytes of shape [3, 32, 32] (scale 1/255).
 * @throws FileError if a file is missing or damaged
 */
export async function readCifar10(folder: string): Promise<DataSplits> {
  const nested = 'cifar-10-batches-bin';
  const outer = await listFolder(folder, 'folder of CIFAR-10 files');
  const inside = outer.includes(nested) && !outer.includes(testFileName);
  const path = inside ? join(folder, nested) : folder;
  const names = inside ? await listFolder(path, 'folder of CIFAR-10 files') : outer;
  const trainNames = names.filter((name) => /^data_batch_\d+\.bin$/.test(name));
  if (trainNames.length === 0 || !names.includes(testFileName)) {
    throw new FileError(
      `${path}: expected data_batch_1.bin … data_batch_5.bin and ${testFileName}, found ${trainNames.join(', ') || 'no data_batch file'}${names.includes(testFileName) ? '' : ` and no ${testFileName}`}: unpack the binary version of CIFAR-10 there`,
    );
  }
  const read = (name: string) => readBytes(join(path, name), 'CIFAR-10 file').then((bytes) => ({ name, bytes }));
  const [trainFiles, testFile] = await Promise.all([Promise.all(trainNames.map(read)), read(testFileName)]);
  return {
    train: records(`${folder} train`, path, trainFiles),
    test: records(`${folder} test`, path, [testFile]),
  };
}

interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

function records(title: string, folder: string, files: readonly NamedBytes[]): Dataset {
  for (const { name, bytes } of files) {
    if (bytes.length === 0 || bytes.length % recordBytes !== 0) {
      throw new FileError(
        `${join(folder, name)}: expected whole records of ${recordBytes} bytes (a label and 3 × 32 × 32 pixels), found ${bytes.length} bytes: the file is truncated or not CIFAR-10's binary version; fetch it again`,
      );
    }
  }
  const size = files.reduce((sum, { bytes }) => sum + bytes.length / recordBytes, 0);
  const pixels = new Uint8Array(size * pictureBytes);
  const labels = new Int32Array(size);
  let row = 0;
  for (const { name, bytes } of files) {
    for (let start = 0; start < bytes.length; start += recordBytes, row++) {
      const label = bytes[start] ?? 0;
      if (label >= classNames.length) {
        throw new FileError(
          `${join(folder, name)}: record ${start / recordBytes} has label ${label}, expected 0 to 9: this is not CIFAR-10's binary version (CIFAR-100 has two label bytes)`,
        );
      }
      labels[row] = label;
      pixels.set(bytes.subarray(start + 1, start + recordBytes), row * pictureBytes);
    }
  }
  return dataset({
    name: title,
    size,
    inputs: { dtype: 'float32', shape: [3, 32, 32], data: pixels, scale: 1 / 255 },
    targets: { dtype: 'int64', shape: [], data: labels },
    classes: classNames,
    picture: { width: 32, height: 32, channels: 3 },
  });
}
