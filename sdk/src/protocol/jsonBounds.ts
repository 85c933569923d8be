/** How much JSON anybody parses: small values take far more memory and time than their bytes. */

/** Values that a JSON text may have, by {@link hasTooManyValues}: more than 1,024 ranges of 1,024 workers, or 736,000 rewards, make. */
export const MAX_JSON_VALUES = 1 << 22;

/**
 * Whether UTF-8 JSON has more values than are parsed, before it is: each but the first stands behind one of `,`, `[` and `{`, and
 * these are counted wherever they stand, in text too.
 */
export function hasTooManyValues(bytes: Uint8Array): boolean {
  if (bytes.length <= MAX_JSON_VALUES) return false;
  let found = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (byte === 0x2c || byte === 0x5b || byte === 0x7b) found += 1;
  }
  return found > MAX_JSON_VALUES;
}
