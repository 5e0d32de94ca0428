// A folder of pictures, one sub-folder per class. Pictures are decoded by sharp, an optional peer that is loaded only here.
import { join } from 'node:path';
import { FileError, messageOf, UnsupportedError } from '../../errors.js';
import { type DataSplits, type Dataset, dataset, onlyInput } from '../dataset.js';
import { type SplitOptions, splitAtRandom } from '../split.js';
import { isFolder, listFolder } from './files.js';

/** How to bring pictures to one shape. */
export interface ImageOptions extends SplitOptions {
  /** Width and height to which every picture is scaled and cropped; without it all must have one size. */
  readonly size?: number | undefined;
  /** 3 (colours, the default) or 1 (grey). */
  readonly channels?: 1 | 3;
}

/** Pixels as bytes, [height, width, channels]. */
interface DecodedImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Decode a file, scaled and cropped to a size if one is given. */
export type Decode = (
  path: string,
  size: number | { readonly width: number; readonly height: number } | undefined,
  channels: 1 | 3,
) => Promise<DecodedImage>;

/** Files that are read as pictures, by their names. */
export const pictureFile = /\.(jpe?g|png|webp|gif|avif|tiff?)$/i;

/**
 * Read DIR/CLASS/picture files, or DIR/train/CLASS/… with DIR/test (or DIR/val) beside it. Inputs are bytes of shape
 * [channels, height, width] (scale 1/255), classes the folder names in alphabetical order.
 * @throws UnsupportedError if sharp is not installed
 * @throws FileError if a class folder has no pictures, if folders or pictures cannot be read, and if pictures have different sizes
 */
export async function readImages(folder: string, options: ImageOptions): Promise<DataSplits> {
  const decode = await loadDecoder();
  const names = await subfolders(folder);
  const testName = ['test', 'val', 'valid', 'validation'].find((name) => names.includes(name));
  if (names.includes('train') && testName !== undefined) {
    const classes = await subfolders(join(folder, 'train'));
    const train = await readClasses(join(folder, 'train'), classes, options, decode);
    const test = await readClasses(join(folder, testName), classes, options, decode);
    const [trainShape, testShape] = [onlyInput(train).shape, onlyInput(test).shape];
    if (String(trainShape) !== String(testShape)) {
      throw new FileError(
        `${folder}: training pictures have shape [${trainShape}], test pictures [${testShape}]: scale them with ?size=PIXELS`,
      );
    }
    return { train, test };
  }
  return splitAtRandom(await readClasses(folder, names, options, decode), options);
}

interface LabelledFile {
  readonly path: string;
  readonly label: number;
}

/** The pictures of a part of the data. @throws FileError if a class is unknown or has no pictures */
async function labelledFiles(folder: string, classes: readonly string[]): Promise<[LabelledFile, ...LabelledFile[]]> {
  const present = await subfolders(folder);
  const stranger = present.find((name) => !classes.includes(name));
  if (stranger !== undefined) {
    throw new FileError(
      `${join(folder, stranger)}: there is no such class in the training folder: expected ${classes.join(', ')}`,
    );
  }
  const files: LabelledFile[] = [];
  const empty: string[] = [];
  for (const [label, name] of classes.entries()) {
    if (!present.includes(name)) continue;
    const names = await listFolder(join(folder, name), 'class folder');
    const pictures = names.filter((file) => pictureFile.test(file));
    files.push(...pictures.map((file) => ({ path: join(folder, name, file), label })));
    if (pictures.length === 0) empty.push(name);
  }
  const [first, ...rest] = files;
  if (first === undefined) {
    throw new FileError(
      `${folder}: expected pictures in one sub-folder per class, found none: lay them out as CLASS/picture.png`,
    );
  }
  if (empty[0] !== undefined) {
    throw new FileError(
      `${join(folder, empty[0])}: expected pictures of a class in this folder itself, found none: put some there (JPEG, PNG, WebP, GIF, AVIF, TIFF), or remove the folder`,
    );
  }
  return [first, ...rest];
}

async function readClasses(
  folder: string,
  classes: readonly string[],
  options: ImageOptions,
  decode: Decode,
): Promise<Dataset> {
  const channels = options.channels ?? 3;
  const files = await labelledFiles(folder, classes);
  const [first, ...rest] = files;
  const firstImage = await decode(first.path, options.size, channels);
  const { width, height } = firstImage;
  const length = channels * width * height;
  const pixels = new Uint8Array(files.length * length);
  const put = (row: number, image: DecodedImage, path: string): void => {
    if (image.width !== width || image.height !== height || image.data.length !== length) {
      throw new FileError(
        `${path}: the picture is ${image.width} × ${image.height}, but ${first.path} is ${width} × ${height}: bring all to one size with ?size=PIXELS`,
      );
    }
    putPlanes(image, channels, pixels, row * length);
  };
  put(0, firstImage, first.path);
  for (const [index, { path }] of rest.entries()) put(index + 1, await decode(path, options.size, channels), path);
  return dataset({
    name: folder,
    size: files.length,
    inputs: { dtype: 'float32', shape: [channels, height, width], data: pixels, scale: 1 / 255 },
    targets: { dtype: 'int64', shape: [], data: Int32Array.from(files, ({ label }) => label) },
    classes,
    picture: { width, height, channels, ...(options.size !== undefined && { resized: true }) },
  });
}

/** Put the pixels of a picture into an array from `start` on, one channel after another. */
export function putPlanes(
  { data, width, height }: DecodedImage,
  channels: number,
  pixels: Uint8Array,
  start: number,
): void {
  const plane = width * height;
  for (let channel = 0; channel < channels; channel++) {
    const first = start + channel * plane;
    for (let pixel = 0; pixel < plane; pixel++) pixels[first + pixel] = data[pixel * channels + channel] ?? 0;
  }
}

async function subfolders(folder: string): Promise<string[]> {
  const names = (await listFolder(folder, 'folder of pictures')).filter((name) => !name.startsWith('.'));
  const kinds = await Promise.all(names.map((name) => isFolder(join(folder, name), 'folder of pictures')));
  return names.filter((_, index) => kinds[index]);
}

/** @throws UnsupportedError if sharp is not installed */
export async function loadDecoder(): Promise<Decode> {
  let sharp: typeof import('sharp').default;
  try {
    sharp = (await import('sharp')).default;
  } catch (cause) {
    throw new UnsupportedError(
      "reading folders of pictures needs the package 'sharp', which is not installed or does not load: run 'npm install sharp'",
      { cause },
    );
  }
  return async (path, size, channels) => {
    try {
      let image = sharp(path, { failOn: 'error' }).rotate().flatten({ background: '#ffffff' });
      const { width, height } = typeof size === 'number' ? { width: size, height: size } : (size ?? {});
      if (size !== undefined) image = image.resize(width, height, { fit: 'cover' });
      image = channels === 1 ? image.toColourspace('b-w') : image.toColourspace('srgb');
      const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
      return { width: info.width, height: info.height, data };
    } catch (cause) {
      throw new FileError(
        `${path}: expected a picture, but it does not decode (${messageOf(cause)}): fetch it again or remove it`,
        { cause },
      );
    }
  };
}
