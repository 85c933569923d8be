/** Canonical JSON (RFC 8785), the only form in which JSON is hashed or signed. */
import canonicalize from "canonicalize";
import { ProtocolError } from "../errors.ts";

/** A value that has exactly one canonical form. Properties that are `undefined` are left out; bigints become decimal strings. */
export type JsonValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined };

function plain(value: unknown, path: string): unknown {
  switch (typeof value) {
    case "bigint":
      return value.toString();
    case "number":
      if (!Number.isFinite(value)) throw new ProtocolError("NOT_JSON", `${path} is ${value}, which JSON cannot hold.`);
      return value;
    case "string":
    case "boolean":
      return value;
    case "object": {
      if (value === null) return null;
      if (Array.isArray(value)) return value.map((item, index) => plain(item, `${path}[${index}]`));
      const entries = Object.entries(value).filter(([, item]) => item !== undefined);
      return Object.fromEntries(entries.map(([key, item]) => [key, plain(item, `${path}.${key}`)]));
    }
    default:
      throw new ProtocolError("NOT_JSON", `${path} is a ${typeof value}, which JSON cannot hold.`);
  }
}

/** @throws ProtocolError NOT_JSON for NaN, infinities, functions and the like. */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(plain(value, "$"));
  if (text === undefined) throw new ProtocolError("NOT_JSON", "undefined has no canonical JSON.");
  return text;
}
