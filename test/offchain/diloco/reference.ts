/**
 * The formulas of protocol.md "Payload" and "Reduce" once more, in exact rational arithmetic with a rounding to fp32
 * written from its definition. Shares no code with offchain/src/diloco and uses no Math.fround; slow on purpose.
 */

/** An exact rational number; `den` is positive. */
interface Rational {
  readonly num: bigint;
  readonly den: bigint;
}

const view = new DataView(new ArrayBuffer(4));

/** The exact value of fp32 bits. */
function exact(value: number): Rational {
  view.setFloat32(0, value);
  const bits = view.getUint32(0);
  const exponent = (bits >>> 23) & 0xff;
  const mantissa = BigInt(bits & 0x7fffff) + (exponent === 0 ? 0n : 1n << 23n);
  const power = Math.max(exponent, 1) - 150;
  const num = bits >>> 31 ? -mantissa : mantissa;
  return power >= 0 ? { num: num << BigInt(power), den: 1n } : { num, den: 1n << BigInt(-power) };
}

const abs = (x: bigint): bigint => (x < 0n ? -x : x);

/** ⌊num / den⌉, ties to even, of non-negative numbers. */
function nearest(num: bigint, den: bigint): bigint {
  const quotient = num / den;
  const twice = (num % den) * 2n;
  return twice > den || (twice === den && quotient % 2n === 1n) ? quotient + 1n : quotient;
}

/** The fp32 value nearest to x, ties to even. Zero results lose their sign. */
function single(x: Rational): number {
  if (x.num === 0n) return 0;
  const magnitude = abs(x.num);
  // 24 bits of mantissa with a unit of 2^power, but never finer than 2^-149.
  let power = magnitude.toString(2).length - x.den.toString(2).length - 24;
  if (magnitude * scale(-power) >= x.den * scale(power) * (1n << 24n)) power++;
  power = Math.max(power, -149);
  const mantissa = nearest(magnitude * scale(-power), x.den * scale(power));
  const value = Number(mantissa) * 2 ** power;
  if (value >= 2 ** 128) return x.num < 0n ? -Infinity : Infinity;
  return x.num < 0n ? -value : value;
}

const scale = (power: number): bigint => (power > 0 ? 1n << BigInt(power) : 1n);

const add = (a: number, b: number): number => {
  const [x, y] = [exact(a), exact(b)];
  return single({ num: x.num * y.den + y.num * x.den, den: x.den * y.den });
};
const subtract = (a: number, b: number): number => add(a, -b);
const multiply = (a: number, b: number): number => {
  const [x, y] = [exact(a), exact(b)];
  return single({ num: x.num * y.num, den: x.den * y.den });
};
const divide = (a: number, b: number): number => {
  const [x, y] = [exact(a), exact(b)];
  const sign = y.num < 0n ? -1n : 1n;
  return single({ num: sign * x.num * y.den, den: x.den * abs(y.num) });
};

/** Rationals know no −0, which a state's hash tells from 0: it is the sum of two −0 alone. */
const sumOf = (a: number, b: number): number => (Object.is(a, -0) && Object.is(b, -0) ? -0 : add(a, b));

/** Encoder of int8-b256; bytes are written one value at a time by DataView. */
export function encodeInt8(
  delta: readonly number[],
  residual: readonly number[],
): { bytes: Uint8Array; nextResidual: number[] } {
  const blocks = Math.ceil(delta.length / 256);
  const bytes = new Uint8Array(blocks * 4 + delta.length);
  const out = new DataView(bytes.buffer);
  const nextResidual: number[] = [];
  for (let block = 0; block < blocks; block++) {
    const xs = delta.slice(block * 256, block * 256 + 256).map((value, i) => sumOf(value, residual[block * 256 + i]!));
    const largest = xs.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    const s = divide(largest, 127);
    out.setFloat32(block * 4, s, true);
    for (const [i, x] of xs.entries()) {
      let q = 0;
      if (s !== 0) {
        const ratio = exact(divide(x, s));
        q = Number(nearest(abs(ratio.num), ratio.den)) * (ratio.num < 0n ? -1 : 1);
        q = Math.min(127, Math.max(-127, q));
      }
      out.setInt8(blocks * 4 + block * 256 + i, q);
      // Where x is −0, q is 0: −0 − 0 is −0.
      nextResidual.push(Object.is(x, -0) ? -0 : subtract(x, multiply(q, s)));
    }
  }
  return { bytes, nextResidual };
}

/** Decoder of int8-b256. */
export function decodeInt8(bytes: Uint8Array, elements: number): number[] {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const blocks = Math.ceil(elements / 256);
  return Array.from({ length: elements }, (_, i) =>
    multiply(data.getInt8(blocks * 4 + i), data.getFloat32(Math.floor(i / 256) * 4, true)),
  );
}

const ratio = (num: number, den: number): number => single({ num: BigInt(num), den: BigInt(den) });

export interface ReferenceShare {
  readonly worker: string;
  readonly tokens: number;
  readonly delta: readonly number[];
}

/** What the weight of each is in proportion to. */
export const pullsBy = (
  weighting: "tokens" | "uniform" | "normalised",
  shares: readonly { readonly tokens: number; readonly steps: number }[],
): bigint[] =>
  shares.map(({ tokens, steps }) =>
    weighting === "uniform" ? 1n : weighting === "tokens" ? BigInt(tokens) : BigInt(Math.floor(tokens / steps)),
  );

/** Weights by exact fractions, rounded once. */
export function weightsBy(
  weighting: "tokens" | "uniform" | "normalised",
  shares: readonly { readonly tokens: number; readonly steps: number }[],
): number[] {
  const total = shares.reduce((sum, { tokens }) => sum + BigInt(tokens), 0n);
  const all = shares.reduce((product, { steps }) => product * BigInt(steps), 1n);
  const perStep = shares.reduce((sum, { tokens, steps }) => sum + (BigInt(tokens) * all) / BigInt(steps), 0n);
  return shares.map(({ tokens, steps }) => {
    if (weighting === "tokens") return single({ num: BigInt(tokens), den: total });
    if (weighting === "uniform") return ratio(1, shares.length);
    return single({ num: (BigInt(tokens) * all) / BigInt(steps), den: perStep });
  });
}

/** Weighted mean and Nesterov step, element by element. */
export function reduce(
  params: readonly number[],
  buffer: readonly number[],
  shares: readonly ReferenceShare[],
  lrPpm: number,
  momentumPpm: number,
): { params: number[]; buffer: number[] } {
  const ordered = shares.toSorted((a, b) => (BigInt(a.worker) < BigInt(b.worker) ? -1 : 1));
  const total = shares.reduce((sum, share) => sum + share.tokens, 0);
  const lr = ratio(lrPpm, 1_000_000);
  const mu = ratio(momentumPpm, 1_000_000);
  const next = { params: [] as number[], buffer: [] as number[] };
  for (const [i, theta] of params.entries()) {
    let g = 0;
    for (const share of ordered) g = add(g, multiply(ratio(share.tokens, total), share.delta[i]!));
    const buf = add(multiply(mu, buffer[i]!), g);
    next.buffer.push(buf);
    next.params.push(subtract(theta, multiply(lr, add(g, multiply(mu, buf)))));
  }
  return next;
}
