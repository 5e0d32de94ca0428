// Named arrays: the .npz archives of NumPy (a zip of .npy files), a folder of .npy files, or one .npy file alone.
import { basename, join } from 'node:path';
import { unzipSync } from 'fflate';
import { FileError, messageOf } from '../../errors.js';
import { crc32 } from '../../files/checksum.js';
import { isFolder, listFolder, readBytes } from './files.js';
import { type NumberArray, parseNpy } from './npy.js';

/** Deflate cannot pack better; a size that claims more is damage, and would be allocated. */
const bestRatio = 1032;

/** The mark in an archive's directory for a size that needs more than 32 bits. */
const zip64 = 0xffff_ffff;

/** Read the arrays of a .npz file, a folder of .npy files, or one .npy file, by name. @throws FileError for damage */
export async function readNamedArrays(path: string): Promise<ReadonlyMap<string, NumberArray>> {
  if (await isFolder(path, 'NumPy file or folder')) {
    const names = (await listFolder(path, 'folder of NumPy files')).filter((name) => name.endsWith('.npy'));
    if (names.length === 0)
      throw new FileError(`${path}: expected .npy files in this folder, found none: save arrays there`);
    const arrays = await Promise.all(names.map(async (name) => [stem(name), await readNpy(join(path, name))] as const));
    return new Map(arrays);
  }
  if (!path.endsWith('.npz')) return new Map([[stem(basename(path)), await readNpy(path)]]);
  return parseNpz(await readBytes(path, 'NumPy archive'), path);
}

/** Parse the bytes of a .npz archive; `path` is for messages. @throws FileError for damage */
export function parseNpz(bytes: Uint8Array, path: string): ReadonlyMap<string, NumberArray> {
  const arrays = Object.entries(unpack(bytes, path)).filter(([name]) => name.endsWith('.npy'));
  if (arrays.length === 0) {
    throw new FileError(`${path}: expected .npy arrays in this archive, found none: write it with numpy.savez`);
  }
  return new Map(arrays.map(([name, content]) => [stem(name), parseNpy(content, `${path}/${name}`)]));
}

function unpack(bytes: Uint8Array, path: string): Record<string, Uint8Array> {
  let [entries, claimed] = [0, 0];
  let entry: number | undefined;
  const checksums = new Map<string, number>();
  const directory = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    const members = unzipSync(bytes, {
      filter: ({ name, size, originalSize }) => {
        // The directory's claims must be possible for a file of this length.
        entries += 1;
        if (originalSize === zip64 || size === zip64) {
          throw new FileError(
            `${path}: '${name}' is of 4 GiB or more (zip64), which cgfac does not read: save it in parts, as .npy files in a folder`,
          );
        }
        claimed += originalSize;
        if (entries * 46 > bytes.length || size > bytes.length || claimed > bytes.length * bestRatio) {
          throw new Error(
            `entry ${entries}, '${name}', claims ${originalSize} bytes packed in ${size}, more than can be`,
          );
        }
        // fflate asks in the order of the directory, and does not pass on the checksums in it.
        const at = entry ?? directoryStart(directory);
        checksums.set(name, directory.getUint32(at + 16, true));
        entry = [28, 30, 32].reduce((end, length) => end + directory.getUint16(at + length, true), at + 46);
        return name.endsWith('.npy');
      },
    });
    for (const [name, content] of Object.entries(members)) {
      if (crc32(content) === checksums.get(name)) continue;
      throw new FileError(
        `${path}: '${name}' is damaged: its bytes do not have the checksum (CRC-32) in the archive: write or download the file again`,
      );
    }
    return members;
  } catch (cause) {
    if (cause instanceof FileError) throw cause;
    throw new FileError(
      `${path}: expected a zip archive of arrays as numpy.savez writes it, but ${bytes.length} bytes do not unpack (${messageOf(cause)}): write the file again`,
      { cause },
    );
  }
}

/** The offset of the central directory of a zip archive that has an end record (APPNOTE.TXT 4.3.14 and 4.3.16). */
function directoryStart(archive: DataView): number {
  let end = archive.byteLength - 22;
  while (archive.getUint32(end, true) !== 0x0605_4b50) end -= 1;
  const [count, start] = [archive.getUint16(end + 8, true), archive.getUint32(end + 16, true)];
  if (count !== 0xffff && start !== zip64) return start;
  const large = archive.getUint32(end - 12, true);
  return archive.getUint32(large, true) === 0x0606_4b50 ? archive.getUint32(large + 48, true) : start;
}

async function readNpy(path: string): Promise<NumberArray> {
  return parseNpy(await readBytes(path, 'NumPy file'), path);
}

function stem(name: string): string {
  return name.replace(/\.npy(\.gz)?$/, '');
}
