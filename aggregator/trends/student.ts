/** Probability that Student's t with `df` degrees of freedom is `t` or more. */
export function studentTail(t: number, df: number): number {
  if (Number.isNaN(t) || df < 1) return 1;
  const both = incompleteBeta(df / (df + t * t), df / 2, 0.5);
  return t >= 0 ? both / 2 : 1 - both / 2;
}

/** The t that is reached with probability `p` (below a half). */
export function studentQuantile(p: number, df: number): number {
  const key = `${p} ${df}`;
  const known = quantiles.get(key);
  if (known !== undefined) return known;
  let [low, high] = [0, 1];
  while (studentTail(high, df) > p && high < 1e9) high *= 2;
  for (let i = 0; i < 80; i += 1) {
    const middle = (low + high) / 2;
    if (studentTail(middle, df) > p) low = middle;
    else high = middle;
  }
  if (quantiles.size > 1_000) quantiles.clear();
  quantiles.set(key, high);
  return high;
}
const quantiles = new Map<string, number>();

/** Regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz's method; DLMF 8.17.22). */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x));
  return x < (a + 1) / (a + b + 2) ? (front * fraction(x, a, b)) / a : 1 - (front * fraction(1 - x, b, a)) / b;
}

function fraction(x: number, a: number, b: number): number {
  const away = (value: number): number => (Math.abs(value) < 1e-300 ? 1e-300 : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let value = d;
  for (let m = 1; m <= 300; m += 1) {
    for (const term of [
      (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
      (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)),
    ]) {
      d = 1 / away(1 + term * d);
      c = away(1 + term / c);
      value *= c * d;
    }
    if (Math.abs(c * d - 1) < 1e-12) break;
  }
  return value;
}

/** Natural logarithm of the gamma function for x > 0: Stirling's series, after shifting x up to where it is exact enough. */
function logGamma(x: number): number {
  let [shift, y] = [0, x];
  for (; y < 12; y += 1) shift += Math.log(y);
  const inverse = 1 / (y * y);
  const series = 1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680));
  return (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + series / y - shift;
}
