/**
 * A row of a provider's answer, read field by field. A field that is absent or null is undefined; one of another form, or beyond
 * any machine's bounds, is an error that names it, and the row is refused. Nothing of an answer is taken as it came.
 */
import { printable, UserError } from "../../base/index.ts";
import { microUsdOf, type MicroUsd, type MoneyUnit, parseDecimal } from "../money.ts";

export interface Row {
  /** Text without control characters, of at most 200. */
  text(path: string): string | undefined;
  /** @throws UserError `ROW_FIELD` where it is absent, too */
  requireText(path: string): string;
  /** Text as {@link Row.text}, of at most 4,000: a public key, a manifest. */
  longText(path: string): string | undefined;
  /** A number, or a decimal as text, rounded to the next whole. @param times it is multiplied by first */
  whole(path: string, times?: number): number | undefined;
  /** @throws UserError `ROW_FIELD` where it is absent, too */
  requireWhole(path: string): number;
  /** µUSD, rounded up. 0 stands for none. */
  money(path: string, unit: MoneyUnit, times?: number): MicroUsd | undefined;
  /** An account's balance in words, which may be negative. */
  balance(path: string): string;
  flag(path: string): boolean | undefined;
  /** Rows in it; none where it is absent. */
  list(path: string): Row[];
  /** As it came, of any form. */
  at(path: string): unknown;
}

const MAX_TEXT = 200;
const MAX_LONG_TEXT = 4_000;
const MAX_LIST = 10_000;

const wrong = (path: string, why: string): UserError => new UserError("ROW_FIELD", `"${path}" ${why}`);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** @throws UserError `ROW_FIELD` for what is no object */
export function rowOf(value: unknown): Row {
  if (!isObject(value)) throw new UserError("ROW_FIELD", "a row is no object");
  const at = (path: string): unknown => {
    let found: unknown = value;
    for (const key of path.split(".")) found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined;
    return found ?? undefined;
  };
  const text = (path: string, most = MAX_TEXT): string | undefined => {
    const found = at(path);
    if (found === undefined || found === "") return undefined;
    if (typeof found === "number" && Number.isSafeInteger(found)) return String(found);
    if (typeof found !== "string") throw wrong(path, "is no text");
    if (found.length > most) throw wrong(path, `has more than ${most} characters`);
    if (printable(found) !== found || found.includes("\n")) throw wrong(path, "has characters that are not printed");
    return found.trim() || undefined;
  };
  const whole = (path: string, times = 1): number | undefined => {
    const found = at(path);
    if (found === undefined) return undefined;
    if (parseDecimal(found) === undefined) throw wrong(path, "is no number that is not negative");
    const number = Math.round(Number(found) * times);
    if (!Number.isSafeInteger(number)) throw wrong(path, "is larger than any machine's");
    return number;
  };
  return {
    text: (path) => text(path),
    longText: (path) => text(path, MAX_LONG_TEXT),
    at,
    whole,
    requireText: (path) => {
      const found = text(path);
      if (found === undefined) throw wrong(path, "is missing");
      return found;
    },
    requireWhole: (path) => {
      const found = whole(path);
      if (found === undefined) throw wrong(path, "is missing");
      return found;
    },
    money: (path, unit, times = 1) => {
      const found = at(path);
      if (found === undefined) return undefined;
      const money = microUsdOf(found, unit, times);
      if (money === undefined) throw wrong(path, "is no price");
      return money === 0n ? undefined : money;
    },
    balance: (path) => {
      const found = Number(at(path) ?? Number.NaN);
      return Number.isFinite(found) ? `${found.toFixed(2)} USD` : "not told";
    },
    flag: (path) => {
      const found = at(path);
      if (found === undefined) return undefined;
      if (typeof found !== "boolean") throw wrong(path, "is neither true nor false");
      return found;
    },
    list: (path) => listOf(at(path) ?? [], path).map(rowOf),
  };
}

/** A list of an answer, bounded. @throws UserError `ROW_FIELD` */
export function listOf(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(path, "is no list");
  if (value.length > MAX_LIST) throw wrong(path, `has more than ${MAX_LIST} entries`);
  return value;
}

/** The values of an object that is a map by name, bounded. @throws UserError `ROW_FIELD` */
export function valuesOf(value: unknown, path: string): readonly unknown[] {
  if (!isObject(value)) throw wrong(path, "is no map");
  return listOf(Object.values(value), path);
}

/** A field of an answer's top. @throws UserError `ROW_FIELD` */
export function fieldOf(answer: unknown, key: string): unknown {
  if (!isObject(answer) || !Object.hasOwn(answer, key)) throw wrong(key, "is missing in the answer");
  return answer[key];
}

/** Fields of those that have a value: optional fields of a type are absent, not undefined. */
export function present<T extends object>(fields: { readonly [K in keyof T]: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}
