// Checks of encoded points of edwards25519 (RFC 8032 section 5.1): -x^2 + y^2 = 1 + d x^2 y^2 over the field of P.

const P = 2n ** 255n - 19n;
const D = modulo(-121665n * power(121666n, P - 2n));
/** 3 doublings multiply by the cofactor 8, which sends exactly the small-order points to the neutral one. */
const COFACTOR_DOUBLINGS = 3;

/** True when the 32 bytes are the one encoding of their point: y below P, and no sign where x is 0. */
export function isCanonical(encoded: Uint8Array): boolean {
  const { y, sign } = decode(encoded);
  const xIsZero = modulo(y * y) === 1n;
  return y < P && !(xIsZero && sign);
}

export function isOnCurve(encoded: Uint8Array): boolean {
  return recoverX(decode(encoded).y) !== undefined;
}

/** True when the point's order divides 8. The point must be on the curve. */
export function isSmallOrder(encoded: Uint8Array): boolean {
  const { y } = decode(encoded);
  const x = recoverX(y);
  if (x === undefined) return false;
  let point: Projective = { x, y: modulo(y), z: 1n };
  for (let i = 0; i < COFACTOR_DOUBLINGS; i += 1) point = double(point);
  return point.x === 0n && point.y === point.z;
}

interface Projective {
  x: bigint;
  y: bigint;
  z: bigint;
}

/** Doubling from the curve equation, without division: exact for every point, the neutral one too. */
function double({ x, y, z }: Projective): Projective {
  const xx = modulo(x * x);
  const yy = modulo(y * y);
  const minus = modulo(yy - xx);
  const rest = modulo(2n * z * z - minus);
  return { x: modulo(2n * x * y * rest), y: modulo(minus * (yy + xx)), z: modulo(minus * rest) };
}

/** One of the two x of a y; undefined where the curve has none. */
function recoverX(y: bigint): bigint | undefined {
  const square = modulo((y * y - 1n) * power(D * y * y + 1n, P - 2n));
  const root = power(square, (P + 3n) / 8n);
  const other = modulo(root * power(2n, (P - 1n) / 4n));
  return [root, other].find((candidate) => modulo(candidate * candidate) === square);
}

function decode(encoded: Uint8Array): { y: bigint; sign: boolean } {
  const bytes = Buffer.from(encoded).reverse();
  const sign = ((bytes[0] ?? 0) & 0x80) !== 0;
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return { y: BigInt(`0x${bytes.toString("hex")}`), sign };
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = modulo(base);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = modulo(result * square);
    square = modulo(square * square);
  }
  return result;
}

function modulo(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}
