/** Canonical JSON (RFC 8785), the only form in which JSON is hashed or signed. */
import canonicalize from "canonicalize";
import { ProtocolError } from "../baseErrors.ts";

/** A value that has exactly one canonical form. Properties that are `undefined` are left out; bigints become decimal strings. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined };

function refuse(path: string, what: string): never {
  throw new ProtocolError("NOT_JSON", `${path} is ${what}, which JSON cannot hold.`);
}

/** Two different strings with lone surrogates would have the same UTF-8, and so the same digest. */
function text(value: string, path: string): string {
  return value.isWellFormed() ? value : refuse(path, "text with a lone surrogate");
}

/** Objects of a class (dates, maps, byte arrays) have no canonical form of their own: the caller chooses one. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function plain(value: unknown, path: string, within: readonly object[]): unknown {
  switch (typeof value) {
    case "bigint":
      return value.toString();
    case "number":
      return Number.isFinite(value) ? value : refuse(path, String(value));
    case "string":
      return text(value, path);
    case "boolean":
      return value;
    case "object": {
      if (value === null) return null;
      if (within.includes(value)) refuse(path, "part of itself");
      const inner = [...within, value];
      if (Array.isArray(value)) return Array.from(value, (item, index) => plain(item, `${path}[${index}]`, inner));
      if (!isPlain(value)) refuse(path, "an object of a class");
      const entries = Object.entries(value).filter(([, item]) => item !== undefined);
      return Object.fromEntries(
        entries.map(([key, item]) => [text(key, `A key of ${path}`), plain(item, `${path}.${key}`, inner)]),
      );
    }
    default:
      return refuse(path, value === undefined ? "undefined" : `a ${typeof value}`);
  }
}

/** @throws ProtocolError NOT_JSON for NaN, infinities, lone surrogates, functions, objects of a class, cycles and the like. */
export function canonicalJson(value: unknown): string {
  return canonicalize(plain(value, "$", [])) ?? refuse("$", "undefined");
}

/**
 * Whether a text is the canonical JSON of the value that it was parsed to. Takes time in proportion to the text, whatever its form.
 * @throws RangeError for one that is nested too deep to tell
 */
export function isCanonicalJson(text: string, value: unknown): boolean {
  let at = 0;
  const goesOn = (form: string): boolean => {
    const found = text.startsWith(form, at);
    at += form.length;
    return found;
  };
  const stands = (item: unknown): boolean => {
    if (typeof item === "string") return item.isWellFormed() && goesOn(JSON.stringify(item));
    if (typeof item !== "object" || item === null) return goesOn(JSON.stringify(item));
    if (Array.isArray(item))
      return goesOn("[") && item.every((each, i) => (i === 0 || goesOn(",")) && stands(each)) && goesOn("]");
    const entries = Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return (
      goesOn("{") &&
      entries.every(([key, each], i) => (i === 0 || goesOn(",")) && stands(key) && goesOn(":") && stands(each)) &&
      goesOn("}")
    );
  };
  return stands(value) && at === text.length;
}
