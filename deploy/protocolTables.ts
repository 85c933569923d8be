/**
 * Keeps the tables of docs/protocol.md equal to the sources of the protocol:
 *
 *     node --conditions=cotrain-source deploy/protocolTables.ts            writes them, keeping what stands under "meaning"
 *     node --conditions=cotrain-source deploy/protocolTables.ts --check    exits 1 when a table is not what the source says
 *
 * A table follows a comment that names it: `struct Receipt`, `document Assignment`, `message JoinRequest`, `codes outcomeCode`,
 * `params`, `routes`. Every struct, document, message and set of codes must have one, and every row of a field a meaning; those of
 * parameters stand in their table (sdk/src/protocol/parameters.ts). Objects of which a field takes one are told apart by a literal: the rows of such a
 * variant name it, `innerOptimizer (kind "adamw").beta1`. The rows are also read by programs (test/interop), so names and types
 * have one fixed notation.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import * as protocol from "@cotrain/sdk/protocol";

import * as http from "../sdk/src/protocol/messages.ts";

const page = fileURLToPath(new URL("../docs/protocol.md", import.meta.url));

/** A table's first cells are the source's, its last is written by people where `written` is so. */
interface Table {
  readonly heading: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly written: boolean;
}

/** What is read of a JSON schema; TypeBox's schemas are some. */
interface Schema {
  readonly type?: string;
  readonly const?: unknown;
  readonly pattern?: string;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

const patterns: Readonly<Record<string, string>> = {
  "^0x[0-9a-f]{64}$": "hash",
  "^0x[0-9a-f]{40}$": "address",
  "^0x[0-9a-fA-F]{40}$": "shown address",
  "^0x[0-9a-f]{130}$": "signature",
  "^(0|[1-9][0-9]{0,77})$": "decimal",
  "^[A-Za-z0-9+/]{170}[AEIMQUYcgkosw048]=$": "sketch",
};

/** Ranges that have a word. */
const ranges: Readonly<Record<string, string>> = {
  "integer 0…255": "uint8",
  "integer 0…65535": "uint16",
  "integer 0…4294967295": "uint32",
  "integer 0…9007199254740991": "count",
};

/** `integer 1…16`; bounds that are not there are left out, those that are not allowed themselves in brackets. */
function bounds(low: number | undefined, high: number | undefined, openLow?: number, openHigh?: number): string {
  const from = low === undefined ? (openLow === undefined ? "" : `(${openLow})`) : String(low);
  const to = high === undefined ? (openHigh === undefined ? "" : `(${openHigh})`) : String(high);
  return from === "" && to === "" ? "" : ` ${from}…${to}`;
}

/** A struct on the wire, a document or a message within another, and the parameters of a run are named, not repeated. */
function nameOf(schema: Schema): string | undefined {
  const text = textOf(schema);
  return named.find(([, other]) => textOf(other) === text)?.[0];
}

/** What is told apart by: an integer of more than 32 bits is a decimal on the wire, and a struct's table says how large it may be. */
const textOf = (schema: Schema): string =>
  JSON.stringify(schema).replaceAll(/\(0\|\[1-9\]\[0-9\]\{0,\d+\}\)/g, "decimal");

/** What a value may be, unions within unions included. */
const choicesOf = (schema: Schema): readonly Schema[] => schema.anyOf?.flatMap(choicesOf) ?? [schema];

/** The objects of which a value is one, where there are several; they are spelled out, also those that have a name. */
function variantsOf(schema: Schema): readonly Schema[] {
  const objects = choicesOf(schema).filter(({ properties }) => properties);
  return objects.length > 1 ? objects : [];
}

/** The first field that is required in each variant and has another literal in each. */
function discriminatorOf(variants: readonly Schema[], at: string): string {
  const found = Object.keys(variants[0]?.properties ?? {}).find((name) => {
    const literals = variants.map((each) =>
      each.required?.includes(name) ? each.properties?.[name]?.const : undefined,
    );
    const told = literals.every((literal) => typeof literal === "string" || Number.isSafeInteger(literal));
    return told && new Set(literals).size === variants.length;
  });
  if (found !== undefined) return found;
  throw new TypeError(
    `docs/protocol.md cannot tell the objects of ${at} apart: each needs another literal in one field.`,
  );
}

function typeOf(schema: Schema): string {
  if (schema.anyOf) {
    const variants = variantsOf(schema);
    const types = choicesOf(schema).map((each) => (variants.includes(each) ? "object" : typeOf(each)));
    return [...new Set(types)].join(" or ");
  }
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.pattern !== undefined) {
    const known = patterns[schema.pattern];
    if (known) return known;
    throw new TypeError(`docs/protocol.md has no word for the pattern ${schema.pattern}.`);
  }
  const word = words[schema.type ?? ""];
  if (word) return word(schema);
  throw new TypeError(`docs/protocol.md has no word for the schema ${JSON.stringify(schema)}.`);
}

function numberWord(schema: Schema): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const range = `${schema.type}${bounds(minimum, maximum, exclusiveMinimum, exclusiveMaximum)}`;
  return ranges[range] ?? range;
}

/** What the page calls a value of each JSON type. */
const words: Readonly<Record<string, (schema: Schema) => string>> = {
  integer: numberWord,
  number: numberWord,
  string: ({ minLength, maxLength }) => `text${bounds(minLength, maxLength)}`,
  array: ({ minItems, maxItems }) => `list${bounds(minItems, maxItems)}`,
  object: (schema) => {
    const [value] = Object.values(schema.patternProperties ?? {});
    return value ? `map to ${typeOf(value)}` : (nameOf(schema) ?? "object");
  },
  boolean: () => "boolean",
  null: () => "null",
};

/**
 * One row per field, those of inner objects by their path: `fragments[].digest`, of a variant `schedule (kind "x").steps`, and of
 * what is itself one of several `(kind "x").reason`.
 */
function rowsOf(schema: Schema, path = ""): string[][] {
  if (path === "" && schema.anyOf) return inner(schema, path);
  const rows: string[][] = [];
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const at = path === "" ? name : `${path}.${name}`;
    rows.push(
      [at, typeOf(field) + (schema.required?.includes(name) === false ? ", optional" : "")],
      ...inner(field, at),
    );
  }
  return rows;
}

function inner(field: Schema, at: string): string[][] {
  const variants = variantsOf(field);
  if (variants.length > 0) {
    const by = discriminatorOf(variants, at);
    return variants.flatMap((each) =>
      rowsOf(each, `${at} (${by} ${JSON.stringify(each.properties?.[by]?.const)})`.trimStart()),
    );
  }
  if (field.anyOf) return field.anyOf.flatMap((each) => inner(each, at));
  if (!field.items) return nameOf(field) === undefined ? rowsOf(field, at) : [];
  const items = `${at}[]`;
  if (field.items.properties && nameOf(field.items) === undefined) return rowsOf(field.items, items);
  return [[items, typeOf(field.items)], ...inner(field.items, items)];
}

function fieldTable(rows: readonly (readonly string[])[]): Table {
  const [twice] = twiceIn(rows);
  if (twice !== undefined) throw new TypeError(`docs/protocol.md has no way to say two types of the field ${twice}.`);
  return {
    heading: ["field", "type", "meaning"],
    rows: rows.map(([name = "", type = ""]) => [`\`${name}\``, type]),
    written: true,
  };
}

/** Documents stand by themselves, others within them; what a validator signs is a part of several. */
const isDocument = (entry: [string, unknown]): entry is [string, Schema] => {
  const [name, value] = entry;
  if (!/^[A-Z]/.test(name) || typeof value !== "object" || value === null || !("properties" in value)) return false;
  const { properties } = value;
  return typeof properties === "object" && properties !== null && ("version" in properties || name === "SignedVerdict");
};
type Exports = Readonly<Record<string, unknown>>;
const documentsOf = (source: Exports): [string, Schema][] => Object.entries(source).filter(isDocument);

const isSchema = (value: unknown): value is Schema => typeof value === "object" && value !== null;
const isBody = (schema: Schema): boolean => choicesOf(schema).every(({ properties }) => properties !== undefined);

/**
 * Bodies of requests and replies, and what they are made of.
 * @throws TypeError for one that is neither an object with fields nor one of several: it would have no table
 */
export function bodiesOf(source: Exports): readonly (readonly [string, Schema])[] {
  return Object.entries(source).flatMap(([name, value]) => {
    if (!/^[A-Z]/.test(name) || !isSchema(value)) return [];
    if (!isBody(value))
      throw new TypeError(`docs/protocol.md has no table for ${name}, which is no object with fields.`);
    return [[name, value] as const];
  });
}
const messages = bodiesOf(http);
const structs = Object.keys(protocol.structTypes) as protocol.StructName[];

const named: readonly (readonly [string, Schema])[] = [
  ...structs.map((name) => [`struct ${name}`, protocol.wireSchema(name) as Schema] as const),
  ...documentsOf(protocol).map(([name, schema]) => [`document ${name}`, schema] as const),
  ...messages.map(([name, schema]) => [`message ${name}`, schema] as const),
  ["params", protocol.RunParamsWire as Schema],
];

/** All of these come from the source: of what people read, too. */
function paramsTable(): Table {
  const rows = (protocol.runParameters as readonly protocol.Parameter[]).map((row) => [
    `\`${row.name}\``,
    row.type,
    row.unit,
    ...[row.min, row.max, row.default].map((value) => value.toLocaleString("en-US")),
    row.meaning ?? row.label,
  ]);
  return { heading: ["field", "type", "unit", "from", "to", "at first", "meaning"], rows, written: false };
}

function paramsRules(): Table {
  const limits = (protocol.runParameters as readonly protocol.Parameter[]).flatMap(({ name, limit }) =>
    limit === undefined ? [] : [[`\`${name}\``, `at most ${limit.toLocaleString("en-US")}`]],
  );
  const rows = protocol.runParameterRules.map(({ of, words }) => [`\`${of}\``, words]);
  return { heading: ["field", "must be"], rows: [...rows, ...limits], written: false };
}

/** Second place in the path of a route, where it is not the assignment's. */
const second: Readonly<Record<string, string>> = {
  blob: ":cid",
  attestations: ":epoch",
  reward: ":account",
  machineLease: ":offer",
};

function tables(instead: Exports): Map<string, Table> {
  const found = new Map<string, Table>();
  for (const [name, fields] of Object.entries(protocol.structTypes))
    found.set(`struct ${name}`, fieldTable(fields.map((field) => [field.name, field.type])));
  found.set("params", paramsTable());
  found.set("rules of params", paramsRules());
  for (const [name, schema] of documentsOf({ ...protocol, ...instead }))
    found.set(`document ${name}`, fieldTable(rowsOf(schema)));
  for (const [name, schema] of messages) found.set(`message ${name}`, fieldTable(rowsOf(schema)));
  for (const [name, value] of Object.entries(protocol as Exports)) {
    if (!/^[a-z]\w+(Code|Kind|Status)$/.test(name) || typeof value !== "object" || value === null) continue;
    const rows = Object.entries(value).map(([word, code]) => [String(code), `\`${word}\``]);
    found.set(`codes ${name}`, { heading: ["code", "name", "meaning"], rows, written: true });
  }
  found.set("routes", {
    heading: ["name", "path", "method, body and reply"],
    rows: Object.entries(protocol.routes).map(([name, path]) => {
      const place = path as (...places: readonly string[]) => string;
      return [name, `\`${place(":runId", second[name] ?? ":assignmentId", ":attempt", ":index")}\``];
    }),
    written: true,
  });
  return found;
}

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

/** The row that stood for one of a variant while there was no other: `x.y` for `x (kind "a").y` where `x.kind` was "a". */
function formerly(name: string, types: ReadonlyMap<string, string>): string {
  const [marker = "", object = "", by = "", literal] = /^(.+?) \((\w+) ("[^"]*"|-?\d+)\)/.exec(name) ?? [];
  return types.get(`${object}.${by}\``) === literal ? name.replace(marker, object) : name;
}

/** The names that several rows have: nobody could tell which meaning, or which type, is whose. */
function twiceIn(rows: readonly (readonly string[])[]): readonly string[] {
  const names = rows.map(([first = ""]) => first);
  return [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
}

const cellsOf = (table: readonly string[]): string[][] => table.slice(2).map((row) => row.slice(2, -2).split(" | "));

/** Writes one table; a row's meaning is kept from the row of its name before, where there was one and no more. */
function render({ heading, rows, written }: Table, before: readonly string[]): string[] {
  const old = cellsOf(before);
  const known = new Map(old.map((cells) => [cells[0] ?? "", cells.slice(heading.length - 1).join(" | ")]));
  for (const name of twiceIn(old)) known.delete(name);
  const types = new Map(old.map(([first = "", type = ""]) => [first, type]));
  const meaning = ([first = ""]: readonly string[]): string =>
    known.get(first) ?? known.get(formerly(first, types)) ?? "";
  const body = rows.map((cells) => line(written ? [...cells, meaning(cells)] : cells));
  return [line(heading), `|${"---|".repeat(heading.length)}`, ...body];
}

function problemsOf(name: string, { written }: Table, before: readonly string[], after: readonly string[]): string[] {
  const twice = written ? twiceIn(cellsOf(before)) : [];
  return [
    ...(after.join("\n") === before.join("\n") ? [] : [`The table "${name}" is not what the source says.`]),
    ...twice.map((row) => `"${name}": there are several rows of ${row}, so none of their meanings is kept.`),
    ...after.filter((row) => row.endsWith("|  |")).map((row) => `"${name}": a row has no meaning: ${row}`),
  ];
}

/**
 * The page with its tables as the source has them, and what was wrong with them.
 * @param instead forms that documents do not have yet, to see how the page would say them
 * @throws TypeError for a source that the page has no notation for
 */
export function update(text: string, instead: Exports = {}): { text: string; problems: string[] } {
  const due = tables(instead);
  const problems: string[] = [];
  const out: string[] = [];
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const at = lines[i] ?? "";
    out.push(at);
    const name = /^<!-- (.+) -->$/.exec(at)?.[1];
    if (name === undefined) continue;
    const table = due.get(name);
    due.delete(name);
    const before: string[] = [];
    while (lines[i + 1]?.startsWith("|")) before.push(lines[++i] ?? "");
    if (!table) {
      problems.push(`The page has a table "${name}" of which the source knows nothing.`);
      continue;
    }
    const after = render(table, before);
    problems.push(...problemsOf(name, table, before, after));
    out.push(...after);
  }
  for (const name of due.keys()) problems.push(`The page has no table "${name}".`);
  return { text: out.join("\n"), problems };
}

function main(check: boolean): void {
  const current = readFileSync(page, "utf8");
  const { text, problems } = update(current);
  if (!check && text !== current) writeFileSync(page, text);
  if (!check || problems.length === 0) return;
  for (const problem of problems) process.stderr.write(`docs/protocol.md: ${problem}\n`);
  process.stderr.write("Run: node --conditions=cotrain-source deploy/protocolTables.ts, then write what is missing.\n");
  process.exitCode = 1;
}

if (import.meta.main) main(process.argv.includes("--check"));
