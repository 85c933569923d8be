/**
 * Settings: a flag wins over a COTRAIN_* variable, that over the config file, that over the default; each value remembers
 * where it came from. Every option is declared once, with its schema, its parser and its one line of help.
 */
import { type Address, asAddress } from "@cotrain/sdk/protocol";
import leven from "leven";
import { type TSchema, Type } from "typebox";
import { getAddress } from "viem";

import { flagOf, UserError, withRemedy } from "../../base/index.ts";
import { readJsonBounded } from "../../base/node/index.ts";
import { findMiss } from "./schema.ts";

const MAX_CONFIG_BYTES = 1 << 20;

/** One setting. */
export interface Option<T> {
  /** What a value must be, after parsing. */
  readonly schema: TSchema;
  /** Text of a flag or variable to a value; undefined when it is not of the form. */
  readonly parse: (text: string) => T | undefined;
  /** What is allowed, as a clause: `a duration such as 45s, 3m or 1h`. */
  readonly allowed: string;
  readonly description: string;
  /** Of a toggle without a default: what the flag against it does. */
  readonly against?: string;
  /** What stands for the value in help: `url`, `file`. */
  readonly value?: string;
  readonly default?: T;
  /** In a file, too, only as text: a number alone would not say of what. */
  readonly asText?: boolean;
  /** A value as {@link parse} would take it, for help; without it JSON is. */
  show?(value: T): string;
  /** Not shown where it is refused. */
  readonly secret?: boolean;
  /** One letter that stands for its flag. */
  readonly short?: string;
}

export interface OptionInit<T> {
  readonly description: string;
  readonly against?: string;
  readonly value?: string;
  readonly default?: T;
  readonly secret?: boolean;
}

export type OptionSet = Readonly<Record<string, Option<unknown>>>;
type ValueOf<O> = O extends { readonly default: infer D }
  ? O extends Option<infer T>
    ? undefined extends D
      ? T | undefined
      : T
    : never
  : O extends Option<infer T>
    ? T | undefined
    : never;
/** The values of a set: options without a default may be undefined. */
export type ConfigOf<S extends OptionSet> = { readonly [K in keyof S]: ValueOf<S[K]> };

/** An option that has a default, and so always a value. */
type Defaulted<T, I extends OptionInit<T>> = I extends { readonly default: T }
  ? Option<T> & { readonly default: T }
  : Option<T>;

function option<T, I extends OptionInit<T>>(
  schema: TSchema,
  allowed: string,
  parse: (text: string) => T | undefined,
  init: I,
  more: Pick<Option<T>, "value" | "show" | "asText"> = {},
): Defaulted<T, I> {
  return {
    schema,
    allowed,
    parse,
    ...more,
    ...init,
  } as unknown as Defaulted<T, I>;
}

const durationUnits: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** Milliseconds of `500ms`, `45s`, `3m`, `1h`, `2d` or sums like `1h30m`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g))
    total += Number(amount) * (durationUnits[unit!] ?? 0);
  return Number.isSafeInteger(Math.round(total)) ? Math.round(total) : undefined;
}

/** 180,000 → `3m`, 5,400,000 → `1h30m`: what {@link parseDuration} takes. */
export function showDuration(milliseconds: number): string {
  let rest = milliseconds;
  let shown = "";
  for (const [unit, length] of Object.entries(durationUnits)) {
    const amount = Math.floor(rest / length);
    if (amount > 0) shown += `${amount}${unit}`;
    rest -= amount * length;
  }
  return shown || "0s";
}

/** Bytes of `4096`, `64KiB`, `10MB`, `1.5GiB`; undefined when it is none. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$/.exec(text);
  if (!match) return undefined;
  const [, amount, unit = "B"] = match;
  const power = "BKMGT".indexOf(unit[0]!.toUpperCase());
  const bytes = Math.round(Number(amount) * (unit.endsWith("iB") ? 1024 : 1000) ** power);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** 1 … 65535, or 0 for "any free one"; undefined when it is none. */
export function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port <= 65_535 ? port : undefined;
}

/** Any text. */
export const text = <const I extends OptionInit<string>>(init: I) =>
  option<string, I>(Type.String({ minLength: 1 }), "a text that is not empty", (value) => value || undefined, init);

/** Numbers of one form. */
const numeric =
  (form: RegExp, noun: string, schema: (bounds: { minimum: number; maximum: number }) => TSchema) =>
  <const I extends OptionInit<number>>(minimum: number, maximum: number, init: I) =>
    option<number, I>(
      schema({ minimum, maximum }),
      `${noun} from ${minimum} to ${maximum}`,
      (value) => {
        const number = form.test(value) ? Number(value) : Number.NaN;
        return number >= minimum && number <= maximum ? number : undefined;
      },
      init,
      { value: "number" },
    );

/** An integer within bounds, both included. */
export const integer = numeric(/^-?\d+$/, "an integer", Type.Integer);

/** A number within bounds, both included. */
export const real = numeric(/^-?(\d+\.?\d*|\.\d+)(e-?\d+)?$/i, "a number", Type.Number);

/** Yes or no. A flag without a value means yes. */
export const toggle = <const I extends OptionInit<boolean>>(init: I) =>
  option<boolean, I>(
    Type.Boolean(),
    "true or false",
    (value) => ({ true: true, "1": true, yes: true, false: false, "0": false, no: false })[value.toLowerCase()],
    init,
  );

/** One of a few words. */
export const choice = <const C extends string, const I extends OptionInit<C>>(choices: readonly C[], init: I) =>
  option<C, I>(
    Type.Union(choices.map((each) => Type.Literal(each))),
    `one of ${choices.join(", ")}`,
    (value) => choices.find((each) => each === value),
    init,
    { value: choices.join("|") },
  );

/** One or several words of a form, with commas between. @param allowed what they may be: `one of red, green` */
export const wordsOf = <const I extends OptionInit<readonly string[]>>(form: RegExp, allowed: string, init: I) =>
  option<readonly string[], I>(
    Type.Array(Type.String({ pattern: form.source }), { minItems: 1, maxItems: 64 }),
    `${allowed}, or several with commas between`,
    (value) => {
      const words = value.split(",").map((part) => part.trim());
      return words.every((word) => form.test(word)) ? words : undefined;
    },
    init,
    { value: "list", show: (value) => value.join(",") },
  );

/** A time span; the value is in ms. */
export const duration = <const I extends OptionInit<number>>(init: I) =>
  option<number, I>(Type.Integer({ minimum: 0 }), "a duration such as 45s, 3m or 1h", parseDuration, init, {
    value: "time",
    show: showDuration,
    asText: true,
  });

/** A number of bytes. */
export const size = <const I extends OptionInit<number>>(init: I) =>
  option<number, I>(Type.Integer({ minimum: 0 }), "a size such as 4096, 64KiB or 10MB", parseSize, init, {
    value: "size",
  });

/** A TCP port; 0 means any free one. */
export const port = <const I extends OptionInit<number>>(init: I) =>
  option<number, I>(Type.Integer({ minimum: 0, maximum: 65_535 }), "a port from 0 to 65535", parsePort, init, {
    value: "port",
  });

/** An address of a server. */
export const url = <const I extends OptionInit<string>>(init: I) =>
  option<string, I>(
    Type.String({ pattern: "^https?://" }),
    "a URL that starts with http:// or https://",
    (value) => (/^https?:\/\//.test(value) && URL.canParse(value) ? value : undefined),
    init,
    { value: "url" },
  );

/**
 * An account on a chain as a person types it: mixed case is the checksum of EIP-55, and one that does not fit tells of a slip.
 * Nobody has the key of the zero address.
 */
export function parseAddress(text: string): Address | undefined {
  const [, digits] = /^0x([0-9a-fA-F]{40})$/.exec(text) ?? [];
  if (digits === undefined || /^0*$/.test(digits)) return undefined;
  const address = asAddress(text);
  const oneCase = digits === digits.toLowerCase() || digits === digits.toUpperCase();
  return oneCase || text === getAddress(address) ? address : undefined;
}

const addressSchema = Type.String({ pattern: "^0x[0-9a-f]{40}$" });
const addressAllowed =
  "an address of 0x and 40 hex digits that is not zero, in one case or with the checksum of EIP-55 in its casing";

/** An account on a chain; the value is in lower case. */
export const account = <const I extends OptionInit<Address>>(init: I) =>
  option<Address, I>(addressSchema, addressAllowed, parseAddress, init, { value: "address" });

/** One or several accounts, with commas between; the values are in lower case. */
export const accounts = <const I extends OptionInit<readonly Address[]>>(init: I) =>
  option<readonly Address[], I>(
    Type.Array(addressSchema, { minItems: 1, maxItems: 64 }),
    `${addressAllowed}, or several with commas between`,
    (value) => {
      const all = value.split(",").map((part) => parseAddress(part.trim()));
      return all.every((each) => each !== undefined) ? all : undefined;
    },
    init,
    { value: "addresses", show: (value) => value.join(",") },
  );

/** A hash, of a run, a checkpoint or a file; the value is in lower case. */
export const hash = <const I extends OptionInit<string>>(init: I) =>
  option<string, I>(
    Type.String({ pattern: "^0x[0-9a-f]{64}$" }),
    "0x and 64 hex digits",
    (value) => (/^0x[0-9a-fA-F]{64}$/.test(value) ? value.toLowerCase() : undefined),
    init,
  );

type Origin = "flag" | "environment" | "file" | "default" | "unset";

export interface ResolvedConfig<S extends OptionSet> {
  readonly values: ConfigOf<S>;
  readonly origins: { readonly [K in keyof S]: Origin };
  /** Whether the user asked for this value, as opposed to the default: an explicit port is not replaced by another. */
  readonly explicit: (key: keyof S) => boolean;
  /** COTRAIN_* variables that no option reads, each as a sentence. */
  readonly warnings: readonly string[];
}

export interface ConfigSources {
  /** By the option's key (`roundDeadline`): strings as typed, or true for a flag without value. Undefined is not given. */
  readonly flags?: Readonly<Record<string, string | boolean | undefined>>;
  /** Default process.env. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly file?: ConfigFile;
  /** Keys that other commands read: not unknown, in file and environment. */
  readonly knownElsewhere?: readonly string[];
}

export interface ConfigFile {
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** `roundDeadline` → `COTRAIN_ROUND_DEADLINE`. */
export function variableOf(key: string): string {
  return `COTRAIN_${key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

/**
 * Values as the command line that names them: what a program with these options reads back. Values that are undefined are
 * left out, so that the program's defaults hold.
 */
export function commandLineOf<const S extends OptionSet>(options: S, values: Partial<ConfigOf<S>>): string[] {
  return Object.entries(options).flatMap(([key, option]) => {
    const value: unknown = values[key];
    if (value === undefined) return [];
    if (typeof value === "boolean") return [value ? flagOf(key) : flagOf(`no${key[0]?.toUpperCase()}${key.slice(1)}`)];
    return [flagOf(key), option.show?.(value) ?? (typeof value === "string" ? value : JSON.stringify(value))];
  });
}

/** ` Did you mean "x"?` for the nearest of `candidates`, or nothing when none is near. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = leven(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best === undefined ? "" : ` Did you mean "${best}"?`;
}

/**
 * Reads a JSON config file: one object, keys as the options'.
 * @throws UserError `FILE_UNREADABLE`, `JSON_INVALID`, `CONFIG_INVALID`
 */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const value = await readJsonBounded(path, MAX_CONFIG_BYTES).catch(
    withRemedy("name a JSON file of settings with --config", "FILE_UNREADABLE", "JSON_INVALID"),
  );
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UserError("CONFIG_INVALID", `${path} must hold one JSON object of settings.`);
  }
  return { path, values: value as Record<string, unknown> };
}

/**
 * Settles every option of a set.
 * @throws UserError `CONFIG_UNKNOWN_KEY` for a key in the file that no option has; `CONFIG_INVALID` for a value that is not
 *   allowed, naming its source
 */
export function resolveConfig<const S extends OptionSet>(options: S, sources: ConfigSources = {}): ResolvedConfig<S> {
  const { flags = {}, environment = process.env, file } = sources;
  const known = [...Object.keys(options), ...(sources.knownElsewhere ?? [])];
  for (const key of Object.keys(file?.values ?? {})) {
    if (!known.includes(key)) {
      throw new UserError("CONFIG_UNKNOWN_KEY", `${file?.path} has an unknown key "${key}".${didYouMean(key, known)}`);
    }
  }
  const variables = known.map(variableOf);
  const warnings = Object.keys(environment)
    .filter((name) => name.startsWith("COTRAIN_") && !variables.includes(name))
    .map((name) => `The environment variable ${name} is not read by anything.${didYouMean(name, variables)}`);

  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  for (const [key, declared] of Object.entries(options)) {
    const found = findValue(key, declared, flags, environment, file);
    origins[key] = found.origin;
    values[key] = found.value;
  }
  return {
    values: values as ConfigOf<S>,
    origins: origins as { [K in keyof S]: Origin },
    explicit: (key) => !["default", "unset"].includes(origins[key as string] ?? "unset"),
    warnings,
  };
}

/** What an option takes of a value as a line or a file has it; undefined where it is not allowed. */
export function settled({ schema, parse, asText }: Option<unknown>, given: unknown): unknown {
  if (asText && typeof given !== "string") return undefined;
  const value = typeof given === "string" ? parse(given.trim()) : given;
  return value === undefined || findMiss(schema, value) !== undefined ? undefined : value;
}

function findValue(
  key: string,
  declared: Option<unknown>,
  flags: Readonly<Record<string, string | boolean | undefined>>,
  environment: Readonly<Record<string, string | undefined>>,
  file: ConfigFile | undefined,
): { value: unknown; origin: Origin } {
  const refuse = (source: string, given: unknown): UserError =>
    new UserError(
      "CONFIG_INVALID",
      `${source} must be ${declared.allowed}${declared.secret ? "" : `, not ${JSON.stringify(given)}`}.`,
    );
  const settle = (source: string, given: unknown): unknown => {
    const value = settled(declared, given);
    if (value === undefined) throw refuse(source, given);
    return value;
  };
  const flag = flags[key];
  if (flag !== undefined) return { value: settle(flagOf(key), flag), origin: "flag" };
  const variable = environment[variableOf(key)];
  // An empty variable is how shells and compose files say "not set".
  if (variable !== undefined && variable !== "")
    return { value: settle(variableOf(key), variable), origin: "environment" };
  if (file && Object.hasOwn(file.values, key))
    return { value: settle(`"${key}" in ${file.path}`, file.values[key]), origin: "file" };
  return declared.default === undefined
    ? { value: undefined, origin: "unset" }
    : { value: declared.default, origin: "default" };
}
