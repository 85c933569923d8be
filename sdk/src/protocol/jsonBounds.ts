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

/** Bytes of a field's name, several times those of any document or answer. */
export const MAX_JSON_NAME_BYTES = 4_096;

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];
const SPACES: ReadonlySet<number | undefined> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/**
 * Whether UTF-8 JSON has a field with a longer name than are parsed. Whoever parses keeps each name once, and finds it by a hash;
 * V8 takes the length for one from 16,384 characters on, so that thousands of names of 64 MiB are compared with each other.
 */
export function hasLongNames(bytes: Uint8Array): boolean {
  if (bytes.length <= MAX_JSON_NAME_BYTES) return false;
  let begun: number | undefined;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (begun !== undefined && byte === BACKSLASH) i += 1;
    else if (byte === QUOTE && begun === undefined) begun = i;
    else if (byte === QUOTE && begun !== undefined) {
      if (i - begun - 1 > MAX_JSON_NAME_BYTES && isName(bytes, i + 1)) return true;
      begun = undefined;
    }
  }
  return false;
}

/** Whether a text that ended here is a name. */
function isName(bytes: Uint8Array, end: number): boolean {
  let at = end;
  while (SPACES.has(bytes[at])) at += 1;
  return bytes[at] === COLON;
}
