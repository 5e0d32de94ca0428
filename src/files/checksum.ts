// The checksum of zip members and PNG chunks: CRC-32 of ISO 3309. (Node's own comes only with 20.15 and 22.2, and browsers have none.)

/** The remainder of each byte. */
const remainders = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0);
  return remainder;
});

/** Return the CRC-32 of bytes, as an unsigned number. */
export function crc32(bytes: Uint8Array): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) remainder = (remainder >>> 8) ^ (remainders[(remainder ^ byte) & 0xff] as number); // the index is a byte
  return (remainder ^ 0xffffffff) >>> 0;
}
