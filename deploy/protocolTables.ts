/**
 * Keeps the tables of docs/protocol.md equal to the sources of the protocol:
 *
 *     node --conditions=cotrain-source deploy/protocolTables.ts            writes them, keeping what stands under "meaning"
 *     node --conditions=cotrain-source deploy/protocolTables.ts --check    exits 1 when a table is not what the source says
 *
 * A table follows a comment that names it: `struct Receipt`, `document Assignment`, `codes outcomeCode`, `params`, `routes`.
 * Every struct, document and set of codes must have one, and every row of a field a meaning; those of parameters stand in their
 * table (sdk/src/protocol/parameters.ts). The rows are also read by
 * programs (test/interop), so their types have one fixed notation.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import * as protocol from "@cotrain/sdk/protocol";

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

/** A struct on the wire or a document within another is named, not repeated. */
function nameOf(schema: Schema): string | undefined {
  const names = Object.keys(schema.properties ?? {}).join();
  const struct = Object.entries(protocol.structTypes).find(
    ([, fields]) => fields.map(({ name }) => name).join() === names,
  );
  if (struct) return `struct ${struct[0]}`;
  const text = JSON.stringify(schema);
  const document = documents.find(([, other]) => JSON.stringify(other) === text);
  return document && `document ${document[0]}`;
}

function typeOf(schema: Schema): string {
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
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

/** One row per field, those of inner objects by their path: `fragments[].digest`. */
function rowsOf(schema: Schema, path = ""): string[][] {
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
  if (field.anyOf) return field.anyOf.flatMap((each) => inner(each, at));
  if (!field.items) return nameOf(field) === undefined ? rowsOf(field, at) : [];
  const items = `${at}[]`;
  if (field.items.properties && nameOf(field.items) === undefined) return rowsOf(field.items, items);
  return [[items, typeOf(field.items)], ...inner(field.items, items)];
}

const fieldTable = (rows: readonly (readonly string[])[]): Table => ({
  heading: ["field", "type", "meaning"],
  rows: rows.map(([name = "", type = ""]) => [`\`${name}\``, type]),
  written: true,
});

/** Documents stand by themselves, others within them; what a validator signs is a part of several. */
const isDocument = (entry: [string, unknown]): entry is [string, Schema] => {
  const [name, value] = entry;
  if (!/^[A-Z]/.test(name) || typeof value !== "object" || value === null || !("properties" in value)) return false;
  const { properties } = value;
  return typeof properties === "object" && properties !== null && ("version" in properties || name === "SignedVerdict");
};
const documents = Object.entries(protocol as Readonly<Record<string, unknown>>).filter(isDocument);

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
const second: Readonly<Record<string, string>> = { blob: ":cid", attestations: ":epoch", reward: ":account" };

function tables(): Map<string, Table> {
  const found = new Map<string, Table>();
  for (const [name, fields] of Object.entries(protocol.structTypes))
    found.set(`struct ${name}`, fieldTable(fields.map((field) => [field.name, field.type])));
  found.set("params", paramsTable());
  found.set("rules of params", paramsRules());
  for (const [name, schema] of documents) found.set(`document ${name}`, fieldTable(rowsOf(schema)));
  for (const [name, value] of Object.entries(protocol as Readonly<Record<string, unknown>>)) {
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

/** Writes one table; the last cell is kept from the row that had the same first cells, or first cell, before. */
function render({ heading, rows, written }: Table, before: readonly string[]): string[] {
  const old = before.slice(2).map((row) => row.slice(2, -2).split(" | "));
  const known = new Map(old.map((cells) => [cells[0] ?? "", cells.slice(heading.length - 1).join(" | ")]));
  const body = rows.map((cells) => line(written ? [...cells, known.get(cells[0] ?? "") ?? ""] : cells));
  return [line(heading), `|${"---|".repeat(heading.length)}`, ...body];
}

/** The page with its tables as the source has them, and what was wrong with them. */
export function update(text: string): { text: string; problems: string[] } {
  const due = tables();
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
    if (after.join("\n") !== before.join("\n")) problems.push(`The table "${name}" is not what the source says.`);
    for (const row of after) if (row.endsWith("|  |")) problems.push(`"${name}": a row has no meaning: ${row}`);
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
