// Shares drawn from a Beta distribution, as mixup and cutmix take them.
import type { Random } from '../../random.js';

/** Draw from Beta(α, α): G / (G + G') of two draws from Gamma(α), by their logarithms, since those of a small α are tiny. */
export function drawBeta(stream: Random, alpha: number): number {
  const [one, other] = [logGamma(stream, alpha), logGamma(stream, alpha)];
  return 1 / (1 + Math.exp(other - one));
}

/** The logarithm of a draw from Gamma(α), by Marsaglia and Tsang, "A simple method for generating gamma variables" (2000). */
function logGamma(stream: Random, alpha: number): number {
  // Gamma(α) = Gamma(α + 1) · U^(1/α) for small α, and the method is for α ≥ 1.
  if (alpha < 1) return logGamma(stream, alpha + 1) + Math.log(positive(stream)) / alpha;
  const d = alpha - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = stream.normal();
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(positive(stream)) < 0.5 * x * x + d - d * v + d * Math.log(v)) return Math.log(d * v);
  }
}

/** Uniform in (0, 1]. */
const positive = (stream: Random): number => 1 - stream.uniform();
