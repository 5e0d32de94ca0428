// IEEE 754 half precision, which JavaScript has no type for: numbers from its bits and back.

/** Return the value of half-precision bits: 1 sign bit, 5 of exponent, 10 of fraction. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** Return the half-precision bits nearest to a number; ties go to the even fraction, as IEEE 754 rounds. */
export function numberToHalf(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size >= 65520) return sign | 0x7c00; // halfway to 2^16 and beyond
  const exponent = Math.max(-14, Math.min(15, Math.floor(Math.log2(size || 2 ** -14))));
  // The fraction in units of the last place; a carry into the exponent comes out right by itself.
  const units = roundHalfToEven(size / 2 ** (exponent - 10));
  return sign | (exponent === -14 ? units : ((exponent + 14) << 10) + units);
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
