// Checksums by the remainder of a division of polynomials over bits. (Node has CRC-32 only from 20.15 and 22.2 on, and browsers have none.)

/** Return the remainder of each byte for a polynomial with its bits reversed. */
const remaindersOf = (polynomial: number): Uint32Array =>
  Uint32Array.from({ length: 256 }, (_, byte) => {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit += 1) remainder = (remainder >>> 1) ^ (remainder & 1 ? polynomial : 0);
    return remainder;
  });

function checksum(bytes: Uint8Array, remainders: Uint32Array): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) remainder = (remainder >>> 8) ^ (remainders[(remainder ^ byte) & 0xff] as number); // the index is a byte
  return (remainder ^ 0xffffffff) >>> 0;
}

const iso3309 = remaindersOf(0xedb88320);
const castagnoli = remaindersOf(0x82f63b78);

/** Return the CRC-32 of ISO 3309 (zip members, PNG chunks) of bytes, as an unsigned number. */
export const crc32 = (bytes: Uint8Array): number => checksum(bytes, iso3309);

/** Return the CRC-32C of Castagnoli (RFC 3720, appendix B.4: iSCSI, records of TensorBoard) of bytes, as an unsigned number. */
export const crc32c = (bytes: Uint8Array): number => checksum(bytes, castagnoli);
